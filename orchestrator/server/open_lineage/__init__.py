"""OpenLineage (https://openlineage.io/spec) as events of our own; the mapping is pure.

A run's event happens to its job; each dataset that a completed run wrote, and each that it checked, has an event of its
own beside that, so that a table can be watched whoever writes it. What a job reads and writes is told by the roles of
what is related.
"""

from .mapping import as_events

__all__ = ["as_events"]
