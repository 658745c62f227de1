"""
A flood: C{python -m tests.flood INTERFACE GROUP PORT RATE SECONDS FILE}, run on a host of the lab.

Sends the packets in FILE, one in hex in a line, over and over; says how many, and how fast it was.
"""

from __future__ import annotations

import socket
import struct
import sys
import time


def main(interface: str, group: str, port: str, rate: str, seconds: str, path: str) -> None:
    """Send evenly: each millisecond what is due by then."""
    with open(path) as file:
        packets = [bytes.fromhex(line) for line in file]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        member = struct.pack("=4s4si", bytes(4), bytes(4), socket.if_nametoindex(interface))
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, member)
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, 0)
        sock.connect((group, int(port)))
        sent, began = 0, time.monotonic()
        print("flooding", flush=True)
        while (passed := time.monotonic() - began) < float(seconds):
            due = int(passed * float(rate)) - sent
            for _ in range(min(due, 1000)):
                sock.send(packets[sent % len(packets)])
                sent += 1
            if due < 1000:
                time.sleep(0.001)
    print(f"sent {sent} in {passed:.2f} s", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
