"""Addresses, links and routes: the socket, its messages, and a kernel in memory."""
