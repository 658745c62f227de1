"""CARP, as ucarp, OpenBSD and FreeBSD speak it: its packet, and who is master by it."""
