"""What every protocol shares, and none of it knows one: values, tables and rules, without clock, socket or Twisted."""
