"""Questions to people, and messages to runs."""
