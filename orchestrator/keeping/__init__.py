"""What runs keep of their calls, and how a later attempt or another run finds it."""
