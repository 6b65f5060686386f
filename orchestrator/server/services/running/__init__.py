"""Runs from the first state to the last: queues, claims, agents, reports, logs, artifacts."""
