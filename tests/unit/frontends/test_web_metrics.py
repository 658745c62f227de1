"""Tests for L{hatwist.frontends.web.metrics}: two nodes in memory, and what Prometheus reads of one of them."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

import yaml
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from hatwist.core.causes import Cause
from hatwist.core.errors import REASONS, BadPacket
from hatwist.core.guarantee import Guarantee, Level
from hatwist.core.packet import Packet
from hatwist.frontends.web.metrics import registry
from hatwist.protocols.native.auth import Keyring
from hatwist.protocols.native.datagram import Datagram
from hatwist.runtime.history import History
from hatwist.runtime.node import Node
from hatwist.service.figures import Figures, figures
from hatwist.service.snapshot import Snapshot, snapshot
from hatwist.settings import settings
from tests.unit.runtime.test_node import I, Nodes, T

DOCS = Path(__file__).parents[3] / "docs"


def counted(link: Any) -> None:
    """Give a link in memory what a real one counts."""
    link.beats, link.bytes, link.unsent, link.bad, link.dropped, link.failing = (
        7,
        1400,
        Counter(),
        Counter(),
        {},
        "",
    )


SETTINGS = settings(interface="eth0", cluster="c", node="alpha", interval=str(I), tolerance=str(T))


class Service:
    """What the web sees of an L{HAService}."""

    def __init__(self, node: Node | None) -> None:
        self.settings = SETTINGS
        self.overloaded = False
        self._node = node

    def status(self) -> Snapshot:
        guarantee = Guarantee(Level.SELF_RELEASING, "because")
        history = History(None, "/nonexistent/history")
        return snapshot(self.settings, guarantee, history, {}, self._node, 0.0)

    def figures(self) -> Figures | None:
        return figures(self._node) if self._node is not None else None


def serviceOf(node: Node | None) -> Any:
    """A service with this node; C{None}: it does not run."""
    return Service(node)


class MetricsTestCase(Nodes):
    """alpha holds, beta stands by."""

    def setUp(self) -> None:
        super().setUp()
        self.alpha, self.resource, self.link = self.node("alpha", 200)
        self.beta, _, self.other = self.node("beta", 100)
        counted(self.link)

    def read(self) -> dict[str, dict[tuple[tuple[str, str], ...], float]]:
        """Every sample of alpha by name and labels, as a scrape reads it."""
        text = generate_latest(registry(serviceOf(self.alpha).status)).decode()
        found: dict[str, dict[tuple[tuple[str, str], ...], float]] = {}
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                labels = tuple(sorted(sample.labels.items()))
                found.setdefault(sample.name, {})[labels] = sample.value
        return found

    def one(self, name: str, **labels: str) -> float:
        """The value of one sample."""
        return self.read()[name][tuple(sorted(labels.items()))]

    def settle(self) -> None:
        self.alpha.start()
        self.beta.start()
        self.pass_(T + 10 * I)


class MetricsTests(MetricsTestCase):
    """The figures are true."""

    def test_holder(self) -> None:
        """A holder tells its role, state, fitness, priority, term, and that it is the only one."""
        self.settle()
        self.assertEqual(self.one("hatwist_role", group="g", role="active"), 1)
        self.assertEqual(self.one("hatwist_role", group="g", role="standby"), 0)
        self.assertEqual(self.one("hatwist_state", group="g", state="active"), 1)
        self.assertEqual(self.one("hatwist_fitness", group="g", fitness="fit"), 1)
        self.assertEqual(self.one("hatwist_priority", group="g"), 200)
        self.assertEqual(self.one("hatwist_term", group="g"), 1)
        self.assertEqual(self.one("hatwist_holders", group="g"), 1)
        self.assertEqual(self.one("hatwist_conflicts_total", group="g"), 0)
        cause = Cause.SILENCE.value
        labels = {"group": "g", "old": "standby", "new": "active", "cause": cause}
        self.assertEqual(self.one("hatwist_role_changes_total", **labels), 1)
        self.assertEqual(self.one("hatwist_takeover_seconds_count", group="g"), 1)
        self.assertGreater(self.one("hatwist_lease_margin_seconds", group="g"), 0)

    def test_standby(self) -> None:
        """A standby has no lease to lose, and counts the holder."""
        self.settle()
        self.alpha, self.beta = self.beta, self.alpha
        counted(self.other)
        found = self.read()
        self.assertEqual(found.get("hatwist_lease_margin_seconds", {}), {})
        self.assertEqual(self.one("hatwist_holders", group="g"), 1)

    def test_peers(self) -> None:
        """What a peer sends is counted by peer and link; what is missing when a later one comes is lost."""
        self.settle()
        before = self.one("hatwist_heartbeats_received_total", peer="beta", link="memory")
        self.other.send = lambda datagram, *way: None  # type: ignore[method-assign]
        self.pass_(1.5 * I)
        lost = self.beta.machine.outbox.seq
        del self.other.send
        self.pass_(4 * I)
        self.assertGreater(
            self.one("hatwist_heartbeats_received_total", peer="beta", link="memory"), before
        )
        self.assertGreater(self.one("hatwist_heartbeats_lost_total", peer="beta"), 0)
        self.assertLess(self.one("hatwist_heartbeats_lost_total", peer="beta"), lost)
        self.assertEqual(self.one("hatwist_peer_alive", peer="beta"), 1)
        self.assertLess(self.one("hatwist_peer_age_seconds", peer="beta"), T)
        self.beta.abort()
        self.pass_(2 * T)
        self.assertEqual(self.one("hatwist_peer_alive", peer="beta"), 0)

    def farewell(self) -> Datagram:
        """What beta's guard would say."""
        [packet] = self.beta.machine.farewells("g")
        found: Datagram = self.beta.machine.keyring.open(packet.data)
        return found

    def test_goodbyeIsNoLoss(self) -> None:
        """The guard's goodbye, which has the last number there is, is not taken for an immense loss."""
        self.settle()
        self.alpha.machine.hear(self.farewell(), "memory", self.clock.seconds())
        self.assertEqual(self.one("hatwist_heartbeats_lost_total", peer="beta"), 0)

    def test_links(self) -> None:
        """Sent, unsent and rejected are counted by link; each reason there is begins at zero."""
        self.settle()
        link: Any = self.link
        link.unsent["ENETUNREACH"] = 3
        link.bad["signature"] = 5
        found = self.read()
        self.assertEqual(self.one("hatwist_heartbeats_sent_total", link="memory"), 7)
        self.assertEqual(self.one("hatwist_heartbeats_sent_bytes_total", link="memory"), 1400)
        self.assertEqual(
            self.one("hatwist_heartbeats_unsent_total", link="memory", error="ENETUNREACH"), 3
        )
        self.assertEqual(
            self.one("hatwist_heartbeats_rejected_total", link="memory", reason="signature"), 5
        )
        self.assertEqual(len(found["hatwist_heartbeats_rejected_total"]), len(REASONS))

    def test_lateness(self) -> None:
        """A loop that stood still for 0.2 s shows in the histogram, with the stall counted."""
        self.settle()
        beats = self.one("hatwist_loop_lateness_seconds_count")
        self.assertEqual(self.one("hatwist_loop_lateness_seconds_bucket", le="0.01"), beats)
        self.clock.advance(0.2)
        self.pass_(I)
        late = self.one("hatwist_loop_lateness_seconds_count") - self.one(
            "hatwist_loop_lateness_seconds_bucket", le="0.05"
        )
        self.assertEqual(late, 1)
        self.assertEqual(self.one("hatwist_stalls_total"), 1)
        self.pass_(3 * I)
        again = self.one("hatwist_loop_lateness_seconds_count") - self.one(
            "hatwist_loop_lateness_seconds_bucket", le="0.05"
        )
        self.assertEqual(again, 1, "what comes after a late beat is in time again")

    def test_overloaded(self) -> None:
        """A loop that is late again and again shows at once, and how often that was for ever."""
        self.settle()
        self.assertEqual(self.one("hatwist_overloaded"), 0)
        for _ in range(4):
            self.clock.advance(0.18)
        self.assertEqual(self.one("hatwist_overloaded"), 1)
        self.pass_(12 * I)
        self.assertEqual(self.one("hatwist_overloaded"), 0)
        self.assertEqual(self.one("hatwist_overloads_total"), 1)

    def test_announcements(self) -> None:
        """What the resources of a group announced is added up."""
        self.settle()
        self.resource.announced = 4  # type: ignore[attr-defined]
        self.assertEqual(self.one("hatwist_announcements_total", group="g"), 4)

    def test_notRunning(self) -> None:
        """A service whose node does not run tells what it can, and does not fail."""
        text = generate_latest(registry(serviceOf(None).status)).decode()
        self.assertIn("hatwist_running 0.0", text)
        self.assertIn('hatwist_guarantee{level="self-releasing"} 1.0', text)
        self.assertIn('hatwist_node_info{cluster="c",node="alpha"} 1.0', text)
        self.assertNotIn("hatwist_role{", text)

    def test_severalServices(self) -> None:
        """Two services of one process each have figures of their own."""
        self.settle()
        first, second = (
            generate_latest(registry(serviceOf(node).status)).decode()
            for node in (self.alpha, None)
        )
        self.assertIn("hatwist_running 1.0", first)
        self.assertIn("hatwist_running 0.0", second)

    def test_strangers(self) -> None:
        """Whoever sends what is not accepted adds no label to any figure."""
        self.settle()
        before = {(name, labels) for name, found in self.read().items() for labels in found}
        for sender in range(50):
            beat = self.farewell()
            stranger = beat._replace(header=beat.header._replace(name=f"stranger{sender}"))
            datagram = Keyring([b"z" * 16]).seal(stranger)
            with self.assertRaises(BadPacket):
                self.alpha.machine.receive(Packet(datagram, "memory"), self.clock.seconds())
        after = {(name, labels) for name, found in self.read().items() for labels in found}
        self.assertEqual(after, before)


class DocsTests(MetricsTestCase):
    """docs/monitoring.rst and docs/alerts.yml keep what they promise."""

    def names(self) -> dict[str, str]:
        """Every family with its type."""
        self.settle()
        collector = registry(serviceOf(self.alpha).status)
        families = [f for f in collector.collect() if f.name.startswith("hatwist")]
        suffix = {"counter": "_total", "info": "_info"}
        return {f.name + suffix.get(f.type, ""): f.type for f in families}

    def test_everyMetricIsInTheDocs(self) -> None:
        """The table of docs/monitoring.rst lists just the metrics that there are."""
        text = (DOCS / "monitoring.rst").read_text("utf-8")
        listed = set(re.findall(r"^``(hatwist_\w+)``", text, re.MULTILINE))
        self.assertEqual(listed, set(self.names()))

    def test_everyCauseIsInTheDocs(self) -> None:
        """So are the causes of role changes."""
        text = (DOCS / "monitoring.rst").read_text("utf-8")
        listed = set(re.findall(r"^``(\w+)`` ", text.partition("\nCauses\n")[2], re.MULTILINE))
        self.assertEqual(listed, {cause.value for cause in Cause})

    def test_conventions(self) -> None:
        """Names follow the conventions of Prometheus: a prefix, base units, C{_total} for counters only."""
        for name, kind in self.names().items():
            self.assertRegex(name, r"^hatwist_[a-z_]+$")
            self.assertEqual(name.endswith("_total"), kind == "counter", name)
            self.assertNotRegex(name, r"_(ms|milliseconds|minutes|count|sum|bucket|gauge)(_|$)")
            if kind == "histogram":
                self.assertTrue(name.endswith("_seconds"), name)

    def test_alerts(self) -> None:
        """docs/alerts.yml is a rule file of Prometheus, each rule explained, of metrics that there are."""
        rules = yaml.safe_load((DOCS / "alerts.yml").read_text("utf-8"))
        text = (DOCS / "monitoring.rst").read_text("utf-8")
        known = set(self.names())
        known |= {f"{n}_{s}" for n in known for s in ("bucket", "sum", "count")}
        names = []
        for group in rules["groups"]:
            self.assertEqual(set(group), {"name", "rules"})
            for rule in group["rules"]:
                self.assertEqual(set(rule), {"alert", "expr", "for", "labels", "annotations"})
                self.assertIn(rule["labels"]["severity"], ("page", "ticket"))
                self.assertEqual(set(rule["annotations"]), {"summary", "description"})
                used = set(re.findall(r"\bhatwist_\w+", rule["expr"]))
                self.assertTrue(used, rule)
                self.assertEqual(used - known, set())
                self.assertIn(f"``{rule['alert']}``", text)
                names.append(rule["alert"])
        self.assertEqual(len(names), len(set(names)))
        self.assertGreater(len(names), 5)
