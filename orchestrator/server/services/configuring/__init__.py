"""Blocks and their types, limits, variables: what people configure."""
