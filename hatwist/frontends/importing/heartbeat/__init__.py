"""ha.cf, haresources and authkeys of Heartbeat, version 1, read."""
