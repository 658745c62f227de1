"""One protocol of a node: who decides, and the links by which it speaks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from twisted.logger import Logger

from hatwist.core.machine import Machine
from hatwist.core.packet import Outgoing
from hatwist.linux.interfaces import Farewell
from hatwist.runtime.fence import UNLIMITED, KernelLease
from hatwist.runtime.link import Link

_log = Logger()


class Speaker(NamedTuple):
    """
    A machine with its links; no two links of one machine have the same name.

    @ivar kernel: how long the kernel keeps addresses that the machine holds.
    """

    machine: Machine
    links: Sequence[Link]
    kernel: KernelLease = UNLIMITED

    def drain(self) -> None:
        """Read all that has arrived."""
        for link in self.links:
            link.drain()

    def send(self, packet: Outgoing) -> None:
        """Send it, on one link or on all of them. What goes wrong is logged."""
        for link in self._linksOf(packet):
            try:
                link.send(packet.data, packet.source, packet.destination)
            except Exception:
                _log.failure("A packet could not be sent on {link}", link=link.name)

    def farewells(self, group: str) -> list[Farewell]:
        """What the guard says for this node on every link once it has let go of a group."""
        return [
            farewell
            for packet in self.machine.farewells(group)
            for link in self._linksOf(packet)
            for farewell in link.farewells(packet.data, packet.source, packet.destination)
        ]

    def close(self) -> None:
        """Give the sockets back."""
        for link in self.links:
            link.close()

    def _linksOf(self, packet: Outgoing) -> list[Link]:
        return [link for link in self.links if packet.link in (None, link.name)]
