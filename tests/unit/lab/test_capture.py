"""Tests for L{hatwist.lab.capture}: who waits for a frame."""

from __future__ import annotations

import struct
from typing import Any
from unittest import mock

from twisted.internet.interfaces import IReactorFDSet
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import directlyProvides

from hatwist.lab.capture import Capture, Frame


class CaptureTests(SynchronousTestCase):
    """A capture on a socket that gives what is queued here."""

    def setUp(self) -> None:
        self.queue: list[bytes] = []
        reactor: Any = Clock()
        reactor.addReader = reactor.removeReader = mock.Mock()
        directlyProvides(reactor, IReactorFDSet)
        host = mock.MagicMock()
        host.socket.return_value.recvmsg = self.recvmsg
        self.capture = Capture(host, reactor)

    def recvmsg(self, *sizes: int) -> Any:
        if not self.queue:
            raise BlockingIOError
        stamp = struct.pack("=qq", 0, 0)
        return self.queue.pop(0), [(0, 0, stamp)], 0, ("eth0", 0, 4)

    def frame(self, data: bytes) -> Any:
        def condition(frame: Frame) -> bool:
            return frame.data == data

        return self.capture.until(condition, repr(data))

    def test_two(self) -> None:
        """A frame that is read when somebody else begins to wait is seen by who waited before."""
        first = self.frame(b"one")
        self.queue += [b"one", b"two"]
        second = self.frame(b"two")
        self.assertEqual(self.successResultOf(second).data, b"two")
        self.assertEqual(self.successResultOf(first).data, b"one")
