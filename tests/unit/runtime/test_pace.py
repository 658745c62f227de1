"""A node that is late, and one that a packet spares work; on two nodes of one process joined by links in memory."""

from __future__ import annotations

from typing import Any
from unittest import mock

from twisted.logger import LogLevel, capturedLogs, formatEvent

from hatwist.core.electorate import Quorum
from hatwist.core.overload import BEATS, BEGINS
from hatwist.service.troubles import overloaded
from tests.unit.runtime.test_node import I, Nodes, T


class Listed:
    """A guard that notes when it was told, and until when what."""

    def __init__(self, clock: Any) -> None:
        self._clock = clock
        self.onFired: Any = None
        self.pets: list[tuple[float, float]] = []

    def check(self) -> bool:
        return True

    def follow(self, group: str, lease: str, deadline: float) -> None:
        pass

    def pet(self, deadlines: dict[str, float]) -> None:
        self.pets += [(self._clock.seconds(), deadline) for deadline in deadlines.values()]

    def flush(self) -> None:
        pass


class PaceTests(Nodes):
    def two(self) -> tuple[Any, Any]:
        """Two nodes, of which the first holds."""
        alpha, _, _ = self.node("alpha", 200)
        beta, _, _ = self.node("beta", 100)
        for node in (alpha, beta):
            node.start()
            self.addCleanup(node.abort)
        self.pass_(2 * T + I)
        return alpha, beta

    def late(self, times: int, by: float = 0.8 * I) -> None:
        """So many beats in a row are late."""
        for _ in range(times):
            self.clock.advance(I + by)
            self.pass_(I - by)

    def test_overloaded(self) -> None:
        """A node that is late again and again says so once, with figures, and once that it is over; it goes on."""
        alpha, beta = self.two()
        roles = alpha.roles["g"], beta.roles["g"]
        with capturedLogs() as logs:
            self.late(BEGINS - 1)
            self.assertFalse(alpha.overloaded)
            self.late(20)
            self.assertTrue(alpha.overloaded)
            self.pass_((BEATS + 1) * I)
        self.assertFalse(alpha.overloaded)
        self.assertEqual((alpha.counters["overloaded"], alpha.counters["keeps-up"]), (1, 1))
        self.assertEqual((alpha.roles["g"], beta.roles["g"]), roles)
        texts = [str(formatEvent(e)) for e in logs if e["log_level"] >= LogLevel.info]
        self.assertEqual(sum("beats were late" in text for text in texts), 2 * 2)

    def test_brief(self) -> None:
        """While it is overloaded each pause is counted, and the log has none of them."""
        alpha, _ = self.two()
        self.late(BEGINS)
        self.assertTrue(alpha.overloaded)
        before = alpha.counters["stalled"]
        with capturedLogs() as logs:
            self.late(5)
        self.assertEqual(alpha.counters["stalled"], before + 5)
        loud = [e for e in logs if e["log_level"] >= LogLevel.info]
        self.assertEqual([e for e in loud if "stalled" in str(formatEvent(e))], [])

    def test_slowWork(self) -> None:
        """Decisions that take longer than half an interval count as lateness, too."""
        alpha, _ = self.two()
        link = alpha.links[0]
        send = link.send

        def slow(datagram: bytes, *way: Any) -> None:
            self.clock.rightNow += 0.7 * I
            send(datagram, *way)

        link.send = slow
        self.pass_(6 * I)
        self.assertTrue(alpha.overloaded)

    def test_trouble(self) -> None:
        """What is told of it says since when and by how much."""
        alpha, _ = self.two()
        self.late(BEGINS)
        burden = alpha.driver.pace.overload.burden
        self.assertRegex(
            overloaded(burden, burden.since + 3.0),
            r"^this node is overloaded, for 3\.00 s: 3 of \d beats were late, by up to 0\.\d+ s; ",
        )

    def test_confirmed(self) -> None:
        """With votes the guard learns of a confirmation when it arrives, not at the next beat."""
        self.guard = guard = Listed(self.clock)
        quorum = Quorum(frozenset(("alpha", "beta")), 2)
        alpha, _, _ = self.node("alpha", 200, quorum=quorum)
        self.guard = None
        beta, _, _ = self.node("beta", 100, quorum=quorum)
        for node in (alpha, beta):
            node.start()
            self.addCleanup(node.abort)
        self.pass_(4 * T)
        self.assertEqual(alpha.roles["g"].name, "ACTIVE")
        guard.pets.clear()
        self.pass_(10 * I)
        self.assertGreater(len(guard.pets), 8)
        self.assertLess(len(guard.pets), 13)
        hold = alpha.machine.rules.timing.hold
        left = [deadline - at for at, deadline in guard.pets]
        self.assertGreater(min(left), hold - 0.01)

    def test_putOff(self) -> None:
        """A deadline that packets put off all the while has nothing decided."""
        alpha, _ = self.two()
        peer = alpha.machine.view.peers["beta"]
        peer.lastPacket.older(1.5 * I, self.clock.seconds(), "g")
        with mock.patch.object(alpha.machine, "decide", wraps=alpha.machine.decide) as decide:
            self.pass_(20 * I)
        self.assertLessEqual(decide.call_count, 21)
