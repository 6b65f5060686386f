"""Stand-ins for parts that a test does not want whole; each speaks the real protocol."""
