"""How long answers of a daemon may take, as the command and the daemon have it."""

WAIT, LONGEST = 30.0, 3600.0
"""Seconds that may be waited for a move: the usual, and the most."""
PATIENCE = 5.0
"""Seconds that an answer may take which nothing is waited for."""
