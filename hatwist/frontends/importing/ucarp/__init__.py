"""ucarp in interfaces(5), read."""
