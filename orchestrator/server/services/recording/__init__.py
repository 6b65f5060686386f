"""What happened: events, the order in which they are read, and what they tell of resources."""
