"""What nodes tell each other of their groups: versioned records, what is known, what is told next."""
