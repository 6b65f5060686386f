"""What happens in the processes that an agent starts."""
