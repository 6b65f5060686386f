"""What the kinds that use a container engine share."""
