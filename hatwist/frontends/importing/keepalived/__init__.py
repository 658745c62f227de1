"""keepalived.conf, read."""
