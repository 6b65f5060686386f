"""The steps of the flight delays project."""
