"""
The control socket: how an administrator asks a daemon, and tells it what to do.

It speaks AMP (U{https://amp-protocol.net}) on a Unix socket. C{boxes}, C{place} and C{client} know nothing of
Twisted, so that a command starts at once; the others are the daemon's side.
"""

WAIT, LONGEST = 30.0, 3600.0
"""Seconds that may be waited for a move: the usual, and the most."""
