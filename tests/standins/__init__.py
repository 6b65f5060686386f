"""Real servers that stand in for services of others: each a context manager, started once for a module or session.

Processes that are started here run files of this folder by path: they cannot import ``tests``.
"""
