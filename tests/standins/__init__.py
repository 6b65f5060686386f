"""Stand-ins of systems that are elsewhere: real programs on this computer, started for the tests."""
