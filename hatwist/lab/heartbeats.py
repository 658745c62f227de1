"""When each host was last heard multicasting: the lab's way to know that a daemon runs."""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.protocol import DatagramProtocol

from hatwist.lab.lan import Host


class Heartbeats(DatagramProtocol):
    """
    Listens on the client, as a member of the cluster's multicast group; says nothing.

    @ivar heard: for each sender's address, the reactor's seconds at the latest datagram.
    """

    def __init__(self, listener: Host, reactor: Any, group: str, port: int) -> None:
        self.heard: dict[str, float] = {}
        self._reactor: Any = reactor
        self._conditions: list[tuple[Callable[[], object], Deferred[None]]] = []
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
        for condition, done in list(self._conditions):
            if not done.called and condition():
                done.callback(None)

    def untilHeard(
        self, addresses: set[str], since: float, timeout: float = 15.0
    ) -> Deferred[None]:
        """Fires when all of them were heard after C{since} (the reactor's seconds)."""

        def condition() -> bool:
            return all(self.heard.get(a, float("-inf")) > since for a in addresses)

        done: Deferred[None] = Deferred()
        if condition():
            done.callback(None)
            return done
        entry = (condition, done)
        self._conditions.append(entry)

        def late(_result: object, seconds: float) -> None:
            silent = sorted(a for a in addresses if self.heard.get(a, float("-inf")) <= since)
            raise TimeoutError(f"no heartbeat within {seconds} s from {', '.join(silent)}")

        def forget(result: Any) -> Any:
            self._conditions.remove(entry)
            return result

        done.addTimeout(timeout, self._reactor, late)
        return done.addBoth(forget)

    def close(self) -> Deferred[None]:
        """Stop listening."""
        done: Deferred[None] = self._port.stopListening()
        return done
