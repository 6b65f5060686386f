"""The whole at a glance: desks, the overview, health."""
