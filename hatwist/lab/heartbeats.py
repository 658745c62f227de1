"""When each host was last heard multicasting: the lab's way to know that a daemon runs."""

from __future__ import annotations

import socket
import struct
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.protocol import DatagramProtocol

from hatwist.lab.conditions import Conditions
from hatwist.lab.lan import Host


class Heartbeats(DatagramProtocol):
    """
    Listens on the client, as a member of the cluster's multicast group; says nothing.

    @ivar heard: for each sender's address, the reactor's seconds at the latest datagram.
    """

    def __init__(self, listener: Host, reactor: Any, group: str, port: int) -> None:
        self.heard: dict[str, float] = {}
        self._reactor: Any = reactor
        self._conditions: Conditions[None] = Conditions(reactor)
        ear = listener.socket(socket.AF_INET, socket.SOCK_DGRAM)
        ear.setblocking(False)
        ear.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        member = struct.pack("=4s4si", socket.inet_aton(group), bytes(4), listener.index("eth0"))
        ear.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, member)
        ear.bind((group, port))
        self._port: Any = reactor.adoptDatagramPort(ear.fileno(), socket.AF_INET, self)
        ear.close()

    def datagramReceived(self, datagram: bytes, addr: tuple[str, int]) -> None:
        self.heard[addr[0]] = self._reactor.seconds()
        self._conditions.look(None)

    def untilHeard(
        self, addresses: set[str], since: float, timeout: float = 15.0
    ) -> Deferred[None]:
        """Fires when all of them were heard after C{since} (the reactor's seconds)."""

        def silent() -> list[str]:
            return sorted(a for a in addresses if self.heard.get(a, float("-inf")) <= since)

        if not silent():
            return succeed(None)
        return self._conditions.until(
            lambda _: not silent(),
            timeout,
            lambda: f"no heartbeat within {timeout} s from {', '.join(silent())}",
        )

    def close(self) -> Deferred[None]:
        """Stop listening."""
        done: Deferred[None] = self._port.stopListening()
        return done
