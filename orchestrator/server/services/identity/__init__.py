"""Who calls: keys, log-ins, tokens of runs, and the keys that secrets are encrypted with."""
