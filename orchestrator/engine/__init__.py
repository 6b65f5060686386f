"""How a run goes: generators of steps, what drives them, and what stands around the call of a function."""
