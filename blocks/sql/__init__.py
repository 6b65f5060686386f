"""What the kinds of database share: engines, errors in one language, looks at tables."""
