"""What moves in the stack: resources, how they hang together, who touches them."""
