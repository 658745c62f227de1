"""The guard's messages, and its double, which keeps the contract of the real one."""

from __future__ import annotations

import ast
import errno
from collections.abc import Callable
from ipaddress import ip_interface
from pathlib import Path
from unittest.mock import Mock

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hatwist.linux.guard import program as guard
from hatwist.linux.guard.memory import MemoryGuard
from hatwist.linux.netlink.memory import MemoryKernel
from hatwist.linux.netlink.messages import KernelAddress, encodeDelete
from tests.contracts_guard import CONTRACT, Part


class MemoryGuardWorld:
    """L{tests.contracts_guard.GuardWorld} in memory."""

    def __init__(self) -> None:
        self.reactor = Clock()
        self.kernel = MemoryKernel()
        self._index = self.kernel.addLink("eth0", bytes.fromhex("02000000000a"))
        self.guard = MemoryGuard(self.reactor, self.kernel)
        self.guard.onFired = lambda groups: self.fired.append(tuple(groups))
        self.guard.onDied = self._died
        self.fired: list[tuple[str, ...]] = []
        self.died = 0

    def _died(self) -> None:
        self.died += 1

    def index(self) -> int:
        return self._index

    def seconds(self) -> float:
        return self.reactor.seconds()

    def add(self, text: str) -> None:
        parsed = ip_interface(text)
        entry = KernelAddress(parsed.ip, parsed.network.prefixlen, self._index)
        self.kernel.addAddress(entry)

    def has(self, text: str) -> bool:
        return ip_interface(text).ip in {entry.address for entry in self.kernel.addresses}

    def said(self) -> list[bytes]:
        return [farewell.datagram for farewell in self.guard.said if farewell.port]

    def resigned(self) -> list[tuple[str, str, int, bytes]]:
        others = [farewell for farewell in self.guard.said if farewell.protocol == 112]
        return [(str(each.source), str(each.address), 255, each.datagram) for each in others]

    def kill(self) -> None:
        self.guard.die()

    def hang(self, seconds: float) -> None:
        self.guard.frozen = True
        self.reactor.advance(seconds)
        self.guard.frozen = False

    def until(self, condition: Callable[[], bool]) -> Deferred[None]:
        for _ in range(3000):
            if condition():
                return succeed(None)
            self.reactor.advance(0.001)
        raise AssertionError("it did not happen")


class ContractTests(SynchronousTestCase):
    """The double keeps what the process keeps."""


def _contract(part: Part) -> Callable[[ContractTests], None]:
    def test(self: ContractTests) -> None:
        self.successResultOf(Deferred.fromCoroutine(part(MemoryGuardWorld())))

    test.__doc__ = part.__doc__
    return test


for _part in CONTRACT:
    setattr(ContractTests, f"test_{_part.__name__}", _contract(_part))


class MessageTests(SynchronousTestCase):
    """What goes through the pipes."""

    def test_golden(self) -> None:
        """A message is its length, its kind and its fields, most significant byte first."""
        data = guard.message(guard.DISARM, guard.string(b"web", 1))
        self.assertEqual(data.hex(" "), "00 00 00 05 03 03 77 65 62")

    @given(st.lists(st.binary(max_size=300)), st.integers(0, 50))
    def test_split(self, bodies: list[bytes], cut: int) -> None:
        """However the bytes arrive, the same messages come out, in order."""
        data = b"".join(guard.message(guard.PET, body) for body in bodies)
        first, rest = guard.split(data[:cut])
        second, rest = guard.split(rest + data[cut:])
        self.assertEqual(first + second, [bytes([guard.PET]) + body for body in bodies])
        self.assertEqual(rest, b"")

    def test_badLength(self) -> None:
        """An empty or huge message is malformed, before any of it is waited for."""
        for length in (0, guard.LIMIT + 1, 0xFFFFFFFF):
            self.assertRaises(guard.Malformed, guard.split, length.to_bytes(4, "big"))

    def test_fields(self) -> None:
        """A field that is longer than the message, or a message longer than its fields, is malformed."""
        reader = guard.Reader(b"\3ab")
        self.assertRaises(guard.Malformed, reader.string, 1)
        reader = guard.Reader(b"\1ab")
        self.assertEqual(reader.string(1), b"a")
        self.assertRaises(guard.Malformed, reader.end)

    def test_passed(self) -> None:
        """A deadline has passed when either clock has reached it: one goes on in a suspension."""
        self.assertFalse(guard.passed((10, 20), (9, 19)))
        self.assertTrue(guard.passed((10, 20), (10, 19)))
        self.assertTrue(guard.passed((10, 20), (9, 20)))


class ProgramTests(SynchronousTestCase):
    """The program must start fast and stay small."""

    def test_imports(self) -> None:
        """It imports nothing but modules written in C."""
        tree = ast.parse(Path(guard.__file__).read_text("utf-8"))
        found = {
            a.name for node in ast.walk(tree) if isinstance(node, ast.Import) for a in node.names
        }
        self.assertEqual([n for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)], [])
        builtin = {"errno", "posix", "sys", "time"}
        self.assertEqual(found, builtin | {"_signal", "_socket", "select"})


class DeleterTests(SynchronousTestCase):
    """How the guard asks the kernel."""

    def test_slowSend(self) -> None:
        """A kernel that takes longer for the request than there is patience has answered: that counts."""
        deleter = guard.Deleter()
        real = deleter._socket
        self.addCleanup(real.close)
        clock = [0.0]
        self.patch(guard, "time", Mock(monotonic=lambda: clock[0]))

        def send(data: bytes) -> None:
            real.send(data)
            clock[0] += guard.PATIENCE + 0.1

        deleter._socket = Mock(send=send, recvfrom=real.recvfrom, fileno=real.fileno)
        gone = encodeDelete(ip_interface("10.255.255.1/24").ip, 24, 1)
        self.assertIn(deleter.delete([gone]), ([errno.EADDRNOTAVAIL], [errno.EPERM]))
