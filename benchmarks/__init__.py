"""Benchmarks: one script a question, each figure one JSON line. ``python -m benchmarks --list`` names them."""
