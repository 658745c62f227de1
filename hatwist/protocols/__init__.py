"""What is on the wire, and who decides by it: C{frames} of the LAN, and a room for each protocol."""
