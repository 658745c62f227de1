"""A packet socket that only sends: announcements leave through it as whole Ethernet frames."""

from __future__ import annotations

import socket

from twisted.logger import Logger
from zope.interface import implementer

from hatwist.linux.interfaces import ISender
from hatwist.linux.netlink.messages import KernelLink


@implementer(ISender)
class PacketSender:
    """
    L{ISender} by AF_PACKET (packet(7)); needs CAP_NET_RAW.

    @raise OSError: from the constructor, when the socket cannot be opened or bound to C{link}.
    """

    _log = Logger()

    def __init__(self, link: KernelLink) -> None:
        self._name = link.name
        self.errors = 0
        # Protocol 0: the kernel hands us nothing, so nothing has to be read.
        self._socket = socket.socket(
            socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC, 0
        )
        try:
            # By name, as Python has it; 300 frames in flight are more than a slice of them.
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
            self._socket.bind((link.name, 0))
        except BaseException:
            self._socket.close()
            raise

    def send(self, frame: bytes) -> None:
        """See L{ISender.send}."""
        try:
            self._socket.send(frame)
        except OSError as error:
            # ENETDOWN, ENXIO, ENOBUFS: the announcement is repeated by its schedule anyway.
            self.errors += 1
            if self.errors == 1:
                self._log.warn(
                    "announcements on {interface} are failing: {error}",
                    interface=self._name,
                    error=error,
                )

    def close(self) -> None:
        """
        See L{ISender.close}.

        The kernel waits for all its processors here (up to tens of ms): not for a failover.
        """
        self._socket.close()
