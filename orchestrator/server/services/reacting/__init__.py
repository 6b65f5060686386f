"""Triggers and chains: what is fired by which events, and by their absence."""
