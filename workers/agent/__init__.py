"""The agent: claims runs, executes each in a process of its own, watches over it, reports for it."""
