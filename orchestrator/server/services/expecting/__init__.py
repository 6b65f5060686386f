"""Expectations: what should happen by when, and what became of it."""
