"""Kinds of block: where their classes are, their schemas, and what the server knows of them."""
