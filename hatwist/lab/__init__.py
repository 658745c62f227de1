"""A LAN on one machine: private world, hosts, faults, a judge, and the demo's story."""
