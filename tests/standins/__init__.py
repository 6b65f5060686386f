"""Local services that behave as the documents of real ones say: what they check, answer and refuse."""
