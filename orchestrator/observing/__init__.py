"""What is seen of running code: its log, its output, commands, events."""
