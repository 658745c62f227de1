"""The guard: its program, which imports nothing of hatwist, and the daemon's side of it."""
