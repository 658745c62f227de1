"""A LAN on one machine: private world, hosts, faults, a judge, and the story the demo tells with them."""
