"""The page in a real browser: what somebody who was woken up sees of each situation."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IListeningPort
from twisted.internet.utils import getProcessOutputAndValue

from hatwist.frontends.web.answers import FAILED, NOT_FOUND, Answer, WebAnswers
from hatwist.frontends.web.page import Page
from hatwist.frontends.web.server import AnswersFactory
from tests import web_samples
from tests.browser import Shown, browser

pytestmark = pytest.mark.needs("chromium")
EVIL = "<img src=x onerror=\"document.title='owned'\"><b>beta</b>"


class Samples(WebAnswers):
    """Answers as the daemon's would be, of what the test says."""

    def __init__(self) -> None:
        page = Page()
        headers = (("Content-Security-Policy", page.policy),)
        self._page = Answer(200, page.body, "text/html; charset=utf-8", headers)
        self.tell: Callable[[], dict[str, Any]] = web_samples.well
        self.asked: list[bytes] = []
        self.failsAfter = 10**9

    def answer(self, method: bytes, path: bytes, arguments: Any, accept: str, now: float) -> Answer:
        self.asked.append(path)
        if path == b"/":
            return self._page
        if path != b"/status":
            return NOT_FOUND
        if self.asked.count(path) > self.failsAfter:
            return FAILED
        return Answer(200, json.dumps(self.tell()).encode(), "application/json")


class Site:
    """Samples over HTTP, and a browser that looks at them."""

    def __init__(self, port: IListeningPort, samples: Samples, path: Path) -> None:
        host: Any = port.getHost()
        self.samples = samples
        self.url = f"http://127.0.0.1:{host.port}/"
        self._path = path
        self._opened = 0

    async def run(self, *more: str, **options: Any) -> list[str]:
        self._opened += 1
        argv = browser(self._path / f"profile{self._opened}", self.url, *more, **options)
        found: Any = await getProcessOutputAndValue(argv[0], argv[1:], dict(os.environ))
        out, err, code = found
        assert code == 0, err.decode()
        lines: list[str] = out.decode().split("\n")
        return lines

    async def look(
        self, tell: Callable[[], dict[str, Any]] = web_samples.well, seconds: float = 2.5
    ) -> Shown:
        """What the page shows after so many seconds."""
        self.samples.tell = tell
        return Shown(await self.run("--dump-dom", seconds=seconds))


@pytest_twisted.async_yield_fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    """The page, with samples for what the daemon tells."""
    samples = Samples()
    endpoint = serverFromString(reactor, "tcp:0:interface=127.0.0.1")
    port = await endpoint.listen(AnswersFactory(samples, reactor))
    yield Site(port, samples, tmp_path)
    await port.stopListening()


@pytest_twisted.ensureDeferred
async def test_well(site: Site) -> None:
    """With nothing wrong it says so, and who holds each group, since when and why; it asks every second."""
    page = await site.look()
    assert page.title == "✓ production: alpha"
    assert page.of("verdict") == "✓ All is well"
    groups = page.of("groups")
    assert "Group web this node ✓ ACTIVE Held by alpha since" in groups
    assert "for 2 h 14 min (term 7) : no holder was heard" in groups
    assert "Group mail this node ○ STANDBY Held by beta since" in groups
    assert "Check http://127.0.0.1/ ✓ good 200 in 0.004 s" in groups
    assert "beta ✓ ALIVE last heard of 40 ms ago Link eth0 ✓ 40 ms ago" in page.of("nodes")
    assert "alpha in web : STANDBY → ACTIVE term 7 , no holder was heard" in page.of("changes")
    assert "✓ exclusive a holder has the votes of 2 of 3 nodes" in page.of("facts")
    assert "live" in page.of("live")
    assert "No answer" not in page.text
    assert 2 <= site.samples.asked.count(b"/status") <= 5
    assert set(site.samples.asked) == {b"/", b"/status"}


@pytest_twisted.ensureDeferred
async def test_dead(site: Site) -> None:
    """A node that is gone, an unfit one and a silent link are named, with how long and why."""
    told = web_samples.dead()
    page = await site.look(lambda: told)
    verdict = page.of("verdict")
    assert verdict.startswith("! 5 things need attention")
    for text in (
        "No other node can take group web from alpha",
        "gamma is unfit for group web: http://127.0.0.1/: connection refused",
        "Node beta is not heard; last heard of 42 s ago",
        "gamma is not heard on link eth1",
        told["troubles"][0],
    ):
        assert f"! {text}" in verdict
    assert "beta ✕ NOT HEARD last heard of 42 s ago" in page.of("nodes")
    assert page.title.startswith("! ")


@pytest_twisted.ensureDeferred
async def test_conflict(site: Site) -> None:
    """Two holders, and a group that nobody holds, come first and are marked by words and signs, not by color only."""
    page = await site.look(web_samples.conflict)
    verdict = page.of("verdict")
    assert verdict.startswith("✕ Act now: Group web is held by alpha and beta at the same time")
    assert "✕ Nobody holds group mail" in verdict
    assert verdict.index("✕ Nobody") < verdict.index("! ")
    assert "Conflict: held at the same time by ✕ alpha and beta" in page.of("groups")
    assert "Held by ✕ nobody" in page.of("groups")
    assert page.title.startswith("✕ ")


@pytest_twisted.ensureDeferred
async def test_alone(site: Site) -> None:
    """That no other node is heard comes before all else, and of the cluster nothing is stated that cannot be known."""
    told = web_samples.alone()
    page = await site.look(lambda: told)
    verdict = page.of("verdict")
    assert verdict.startswith(f"✕ Act now: {told['alone']}")
    assert "Nobody" not in verdict
    assert "! Node gamma died or hangs, and its guard released what it held; last heard" in verdict
    assert "Held by ? unknown here" in page.of("groups")
    assert "gamma ✕ GUARD FIRED" in page.of("nodes")
    assert page.title.startswith("✕ ")


@pytest_twisted.ensureDeferred
async def test_drained(site: Site) -> None:
    """A drained node is not unfit: it has a badge of its own, and one line tells of it."""
    page = await site.look(web_samples.drained)
    verdict = page.of("verdict")
    assert "! gamma is drained: it will take over no group" in verdict
    assert "unfit" not in verdict
    assert "gamma ! DRAINED" in page.of("groups")


@pytest_twisted.ensureDeferred
async def test_acquiring(site: Site) -> None:
    """While resources are being acquired it says how far that has come."""
    page = await site.look(web_samples.acquiring)
    groups = page.of("groups")
    assert "! alpha is acquiring group web, step 1 of 2" in page.of("verdict")
    assert "! gamma is releasing group web, step 2 of 3" in page.of("verdict")
    assert "priority 100, releasing, step 2 of 3" in groups
    assert "Being taken over by alpha" in groups
    assert "! acquiring, step 1 of 2" in groups
    assert "acquiring, step 1 of 2: 192.168.1.100/24" in groups


@pytest_twisted.ensureDeferred
async def test_unreachable(site: Site) -> None:
    """When the daemon stops answering the page says so, since when, and that what it shows is old."""
    site.samples.failsAfter = 2
    page = await site.look(seconds=9.0)
    stale = page.of("stale")
    assert stale.startswith("✕ No answer from alpha for ")
    assert "(HTTP 500). Below is how it was at " in stale
    assert "✕ not live" in page.of("live")
    assert 'class="stale"' in page.html
    assert "Held by alpha" in page.of("groups")
    assert page.title.startswith("? ")


@pytest_twisted.ensureDeferred
async def test_neverReached(site: Site) -> None:
    """A page that never had an answer does not say that anything is well."""
    site.samples.failsAfter = 0
    page = await site.look()
    assert page.of("stale") == "✕ The daemon does not answer: HTTP 500"
    assert page.of("verdict") == "Nothing is known yet"
    assert "well" not in page.text


@pytest_twisted.ensureDeferred
async def test_markupInNames(site: Site) -> None:
    """Names and reasons that are markup are shown as they are, and nothing in them is run."""

    def tell() -> dict[str, Any]:
        told = web_samples.dead()
        told["cluster"] = told["node"] = EVIL
        told["nodes"][EVIL] = told["nodes"].pop("beta")
        for group in told["groups"].values():
            group["reason"] = group["holder"] = EVIL
        told["nodes"]["gamma"]["links"] = {EVIL: 0.1}
        told["history"][-1].update(node=EVIL, reason=EVIL, new=EVIL)
        told["guarantee"].update(reason=EVIL, level=EVIL)
        return told

    page = await site.look(tell)
    assert "<img" not in page.html
    assert "<b>" not in page.html
    assert page.title.endswith(EVIL)
    assert page.text.count("<b>beta</b>") > 5
    assert set(site.samples.asked) == {b"/", b"/status"}


@pytest_twisted.ensureDeferred
async def test_screenshots(site: Site, tmp_path: Path) -> None:
    """Light and dark differ, and the page can be drawn; HATWIST_SCREENSHOTS=DIRECTORY keeps them to look at."""
    site.samples.tell = web_samples.dead
    keep = Path(os.environ.get("HATWIST_SCREENSHOTS") or tmp_path)
    shots = []
    for scheme, name in enumerate(("dark", "light")):
        file = keep / f"page-{name}.png"
        await site.run(f"--screenshot={file}", scheme=scheme)
        shots.append(file.read_bytes())
        assert shots[-1].startswith(b"\x89PNG")
        assert len(shots[-1]) > 50_000, "an empty page takes less"
    assert shots[0] != shots[1]
