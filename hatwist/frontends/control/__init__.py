"""
The control socket: how an administrator asks a daemon, and tells it what to do.

It speaks AMP (U{https://amp-protocol.net}) on a Unix socket. C{boxes}, C{place}, C{times} and C{client} know
nothing of Twisted, so that a command starts at once; the others are the daemon's side.
"""
