"""Examples that type checkers are run over; nothing in them is executed."""
