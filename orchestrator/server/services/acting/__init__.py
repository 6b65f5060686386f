"""What triggers have done: the kinds of action, the outbox, holds."""
