"""HTTP of real daemons: what Prometheus, load balancers and people read, and what it costs the heartbeats."""

from __future__ import annotations

import json
import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from prometheus_client.parser import text_string_to_metric_families
from twisted.internet import reactor
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread

from hatwist.lab.judge import LabJudge
from hatwist.lab.lan import Host, LabLan
from hatwist.lab.program import Program
from tests.browser import Shown, browser
from tests.daemons import ADDRESS, CIDR, FOREGROUND, TWISTD, ended, heldAndKnown, until

ROOT = Path(__file__).parents[2]
PORT = 9107
FILE = f"""\
cluster = "web"
interface = "eth0"
interval = 0.1
tolerance = 0.35
http = "tcp:{PORT}"
[node.alpha]
priority = 200
[node.beta]
priority = 100
[group.web]
resources = [{{address = "{CIDR}"}}]
"""


class Pair:
    """alpha holds, beta stands by; both answer over HTTP."""

    def __init__(self, lan: LabLan, judge: LabJudge, path: Path) -> None:
        self.lan = lan
        self.judge = judge
        self.file = path / "hatwist.toml"
        self.file.write_text(FILE)
        self.programs = {name: self.start(name) for name in ("alpha", "beta")}

    def start(self, name: str) -> Program:
        argv = (*TWISTD, *FOREGROUND, "ha", "--config", str(self.file), "--node", name)
        return self.lan.host(name).spawn(reactor, argv)

    async def settle(self) -> None:
        holder = self.lan.host("alpha")
        await heldAndKnown(self.judge, holder, *self.programs.values())

    def get(self, name: str, path: str, method: str = "GET") -> tuple[int, str]:
        """Code and body, as a client on that host reads them."""
        with closing(connect(self.lan.host(name))) as client:
            client.sendall(f"{method} {path} HTTP/1.1\r\nHost: {name}\r\n\r\n".encode())
            with client.makefile("rb") as file:
                head, _, body = file.read().partition(b"\r\n\r\n")
        return int(head.split()[1]), body.decode()

    def metrics(self, name: str) -> dict[str, list[Any]]:
        """Every sample by its name."""
        code, text = self.get(name, "/metrics")
        assert code == 200
        found: dict[str, list[Any]] = {}
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                found.setdefault(sample.name, []).append(sample)
        return found

    def value(self, host: str, name: str, **labels: str) -> float:
        """The value of the one sample that has these labels."""
        samples = self.metrics(host)[name]
        (found,) = [s for s in samples if labels.items() <= s.labels.items()]
        value: float = found.value
        return value


def connect(host: Host) -> socket.socket:
    """A connection to the daemon of that host, from there."""
    with host.namespace.entered():
        return socket.create_connection(("127.0.0.1", PORT), 5.0)


@pytest_twisted.async_yield_fixture
async def pair(lan: LabLan, judge: LabJudge, tmp_path: Path) -> Any:
    made = Pair(lan, judge, tmp_path)
    await made.settle()
    yield made


@pytest_twisted.ensureDeferred
async def test_pair(pair: Pair, judge: LabJudge) -> None:
    """Holder and standby tell what they are in every way there is, and the answers follow when the holder dies."""
    assert pair.get("alpha", "/health/active") == (200, "web: ACTIVE\n")
    assert pair.get("beta", "/health/active?group=web") == (503, "web: STANDBY\n")
    assert pair.get("beta", "/health/active?group=mail")[0] == 404
    good = (200, "heartbeats are sent; 1 of 1 links work\n")
    for name in ("alpha", "beta"):
        await until(lambda name=name: pair.get(name, "/health/alive") == good)  # type: ignore[misc]
        assert pair.get(name, "/health/alive", "HEAD")[1] == ""
        status = json.loads(pair.get(name, "/status")[1])
        assert status["groups"]["web"]["holder"] == "alpha"
        assert {n for n, node in status["nodes"].items() if node["alive"]} == {"alpha", "beta"}
    assert pair.value("alpha", "hatwist_role", role="active") == 1
    assert pair.value("beta", "hatwist_heartbeats_received_total", peer="alpha", link="eth0") > 3
    assert pair.value("alpha", "hatwist_announcements_total") >= 1
    assert pair.value("alpha", "hatwist_lease_margin_lowest_seconds") > 0.1
    assert pair.value("alpha", "hatwist_guarantee", level="self-releasing") == 1
    pair.programs["alpha"].kill()
    await judge.untilHeldBy(ADDRESS, "beta")
    await until(lambda: pair.get("beta", "/health/active")[0] == 200)
    await until(lambda: pair.value("beta", "hatwist_peer_alive", peer="alpha") == 0)
    # The guard has said goodbye for the daemon that was killed.
    cause = {"old": "standby", "new": "active", "cause": "vacancy"}
    assert pair.value("beta", "hatwist_role_changes_total", **cause) == 1
    count = pair.value("beta", "hatwist_takeover_seconds_count")
    assert 0 < pair.value("beta", "hatwist_takeover_seconds_sum") < 0.1 * count
    assert not pair.programs["beta"].tail(1000).count("GET"), "requests are not logged"


@pytest_twisted.ensureDeferred
async def test_stopped(pair: Pair) -> None:
    """A daemon that is stopped closes its port, at once."""
    alpha = pair.programs["alpha"]
    alpha.stop()
    assert await ended(alpha) < 2.0
    with pytest.raises(ConnectionRefusedError):
        connect(pair.lan.host("alpha"))


@pytest_twisted.ensureDeferred
async def test_taken(lan: LabLan, judge: LabJudge, tmp_path: Path) -> None:
    """A port that somebody else has is one clear error, and nothing is held."""
    with lan.host("alpha").namespace.entered():
        taken = socket.create_server(("", PORT))
    with closing(taken):
        pair = Pair(lan, judge, tmp_path)
        alpha = pair.programs["alpha"]
        await alpha.ended()
    assert alpha.status != 0
    assert f'http = "tcp:{PORT}": cannot listen there' in alpha.tail(1000)
    assert "in use" in alpha.tail(1000)
    await judge.untilHeldBy(ADDRESS, "beta")


@pytest.mark.needs("promtool")
@pytest_twisted.ensureDeferred
async def test_lint(pair: Pair) -> None:
    """Prometheus's own check has nothing to say about names, units and help of the metrics."""
    text = pair.get("alpha", "/metrics")[1]
    done = subprocess.run(
        ["promtool", "check", "metrics"], input=text, text=True, capture_output=True, timeout=20
    )
    ours = [line for line in done.stderr.splitlines() if line.startswith("hatwist_")]
    assert ours == [], done.stderr


@pytest.mark.needs("promtool")
def test_alerts(tmp_path: Path) -> None:
    """Each alert of docs/alerts.yml fires when it should, and none does while all is well."""
    for file in (ROOT / "docs/alerts.yml", ROOT / "tests/alerts_test.yml"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    argv = ["promtool", "test", "rules", "alerts_test.yml"]
    done = subprocess.run(argv, cwd=tmp_path, text=True, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest_twisted.ensureDeferred
async def test_flood(pair: Pair, judge: LabJudge) -> None:
    """Whoever asks as often as he can, on as many connections as there are, moves nothing and stalls nothing."""
    began = await judge.watch(ADDRESS)

    def flood() -> int:
        asked = 0
        for path in _paths(400):
            try:
                pair.get("alpha", path)
                asked += 1
            except (OSError, IndexError):
                pass  # closed: too many at a time
        return asked

    idle = [connect(pair.lan.host("alpha")) for _ in range(40)]
    one, two = deferToThread(flood), deferToThread(flood)
    for sock in idle[:20]:
        sock.close()
    assert await one + await two > 100
    for sock in idle:
        sock.close()
    await deferLater(reactor, 0.5)
    report = await judge.report(ADDRESS, began)
    assert report.noHolder == 0.0
    assert pair.value("alpha", "hatwist_stalls_total") == 0
    late = pair.value("alpha", "hatwist_loop_lateness_seconds_count") - pair.value(
        "alpha", "hatwist_loop_lateness_seconds_bucket", le="0.05"
    )
    assert late == 0


def _paths(count: int) -> Iterator[str]:
    for number in range(count):
        yield ("/metrics", "/status", "/", "/health/alive")[number % 4]


@pytest.mark.needs("chromium")
@pytest_twisted.ensureDeferred
async def test_page(pair: Pair, tmp_path: Path) -> None:
    """The page of a real daemon shows the real cluster."""
    argv = browser(tmp_path / "profile", f"http://127.0.0.1:{PORT}/", "--dump-dom")
    chromium = pair.lan.host("beta").spawn(reactor, argv, dict(os.environ))
    assert await chromium.ended(30.0) == 0
    page = Shown(chromium.lines)
    assert page.of("cluster") == "web"
    assert page.of("here") == "as beta sees it"
    assert page.of("verdict").startswith("✓ All is well"), page.text
    assert "Held by alpha since" in page.of("groups")
    assert CIDR in page.of("groups")
    assert "alpha ✓ ALIVE" in page.of("nodes")
    assert "ACTIVE" in page.of("changes")
