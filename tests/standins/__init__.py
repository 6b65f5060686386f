"""Stand-ins of the systems that blocks speak to: real servers where there are some, and small ones that behave as
documented where there are none."""
