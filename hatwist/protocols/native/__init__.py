"""hatwist's own protocol: its packets, what is known of the others, and the election."""
