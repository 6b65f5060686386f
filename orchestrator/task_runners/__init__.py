"""Where submitted tasks run beside threads: processes, agents, clusters; and the other ends of these ways."""
