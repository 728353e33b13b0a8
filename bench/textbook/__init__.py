"""The textbook way: a state machine that waits, polls by a function, and chooses; a small separate stack."""
