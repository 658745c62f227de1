"""VRRP, versions 2 and 3: its packets, its routers, and the groups of them that move together."""
