"""Tests for L{hatwist.frontends.web.health}: what a load balancer is told of two nodes in memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hatwist.core.reports import Held
from hatwist.frontends.web import health
from hatwist.runtime.node import Node
from hatwist.service.figures import figures
from tests.unit.frontends.test_web_metrics import SETTINGS, MetricsTestCase, counted
from tests.unit.runtime.test_node import I, T


def active(node: Node | None, groups: Sequence[str] = ()) -> health.Verdict:
    """Whether a node holds groups; without one the service does not run."""
    return health.active(figures(node) if node is not None else None, groups)


def alive(node: Node | None) -> health.Verdict:
    """Whether a node sends heartbeats in time."""
    return health.alive(figures(node) if node is not None else None, SETTINGS)


class HealthTests(MetricsTestCase):
    """alpha holds, beta stands by."""

    def setUp(self) -> None:
        super().setUp()
        counted(self.other)

    def alive(self) -> tuple[bool, str]:
        return alive(self.alpha)

    def test_active(self) -> None:
        """The holder is active, and a standby is not; each says so by group."""
        self.settle()
        self.assertEqual(active(self.alpha), (True, "g: ACTIVE"))
        self.assertEqual(active(self.beta), (False, "g: STANDBY"))
        self.assertEqual(active(self.alpha, ["g", "g"]), (True, "g: ACTIVE"))
        self.assertEqual(active(None), (False, "the node does not run"))

    def test_activeWhenAllIsHeld(self) -> None:
        """While its resources are being acquired a node is not active yet."""
        self.alpha.start()
        self.alpha.keepers["g"].hold = lambda term: None  # type: ignore[method-assign,assignment,misc]
        self.pass_(T + I)
        self.assertEqual(self.alpha.machine.elections["g"].standing.state.value, "acquiring")
        self.assertFalse(active(self.alpha)[0])
        self.alpha.tell(Held("g"))
        self.clock.advance(0)
        self.assertTrue(active(self.alpha)[0])

    def test_severalGroups(self) -> None:
        """Of several groups any one will do, unless some are named: then all of these."""
        self.settle()
        self.alpha.roles["mail"] = self.beta.roles["g"]
        self.assertEqual(active(self.alpha), (True, "g: ACTIVE\nmail: STANDBY"))
        self.assertEqual(active(self.alpha, ["mail"]), (False, "mail: STANDBY"))
        self.assertFalse(active(self.alpha, ["g", "mail"])[0])

    def test_unknownGroup(self) -> None:
        """A group that is not known is neither held nor not held."""
        self.settle()
        with self.assertRaises(LookupError):
            active(self.alpha, ["g", "other"])

    def test_alive(self) -> None:
        """A node that sends heartbeats is alive from its start, whatever its role."""
        self.alpha.start()
        self.beta.start()
        for _ in range(20):
            self.pass_(I)
            for node in (self.alpha, self.beta):
                self.assertTrue(alive(node)[0])
        self.assertEqual(alive(None), (False, "the node does not run"))

    def test_late(self) -> None:
        """A node whose loop was late by more than half a tolerance is not, for a tolerance; a little matters not."""
        self.settle()
        self.clock.advance(0.6 * T)
        self.assertTrue(self.alive()[0])
        self.clock.advance(0.9 * T)
        good, why = self.alive()
        self.assertFalse(good)
        self.assertRegex(why, r"^it was late by 0\.\d{3} s, 0\.000 s ago$")
        self.pass_(T + 0.002)
        self.assertTrue(self.alive()[0])

    def test_silent(self) -> None:
        """A node that has sent nothing for a tolerance and an interval is not alive: to others it is gone."""
        self.settle()
        self.alpha.driver.run = lambda beating=None: None  # type: ignore[method-assign]
        self.pass_(T)
        self.assertTrue(self.alive()[0])
        self.pass_(2 * I)
        good, why = self.alive()
        self.assertFalse(good)
        self.assertRegex(why, r"^it has sent no heartbeat for 0\.\d{3} s$")

    def test_links(self) -> None:
        """One link that works is enough; with none a node is not alive, and each error is told."""
        self.settle()
        link: Any = self.link
        link.failing = "ENETUNREACH"
        self.assertEqual(self.alive(), (False, "no heartbeat can be sent: memory: ENETUNREACH"))
        next(iter(self.alpha.driver.speakers)).links.append(self.other)  # type: ignore[attr-defined]
        good, why = self.alive()
        self.assertTrue(good)
        self.assertEqual(why, "heartbeats are sent; 1 of 2 links work")
