"""CARP with ucarp as the other host: who holds, and how soon, by the machine and the raw link alone."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Sequence
from ipaddress import IPv4Address
from math import inf
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor

from hatwist.core.effects import Effect, Hold, Release
from hatwist.core.loop import Loop
from hatwist.core.machine import Machine
from hatwist.core.packet import Outgoing, Packet
from hatwist.core.reports import Gone, Held, Report, Stopped
from hatwist.linux.lan.raw import KernelRawSockets
from hatwist.protocols.carp.machine import CarpMachine
from hatwist.protocols.carp.rules import CarpRules, VhostRules
from hatwist.runtime.link import Link
from hatwist.runtime.ways import Raw
from tests.wire import Wire, ip

pytestmark = [pytest.mark.needs("ip"), pytest.mark.needs("ucarp")]

GROUP, VHID, SHARED, PASSWORD = "g", 42, IPv4Address("10.9.0.100"), "sesame"
OWN, PEER = IPv4Address("10.9.0.1"), IPv4Address("10.9.0.2")
PATIENCE = 15.0
MOMENT = 0.05


class Node:
    """
    This host: what its machine decides is done by ip(8).

    @ivar cut: it hears nothing, and nobody hears it.
    """

    def __init__(self, own: IPv4Address = OWN, password: str = PASSWORD, **more: Any) -> None:
        link = Link(reactor, Raw(Wire.near, 4, KernelRawSockets()))
        ways = {link.name: own}
        rules = VhostRules(GROUP, VHID, (SHARED,), password.encode(), ways, **more)
        machine = CarpMachine(CarpRules("c", "n", (rules,)), 1 << 40, reactor.seconds())
        self.link, self.machine = link, machine
        self.loop = Loop(reactor.seconds, [machine], self)
        self.cut = self._closed = False
        self._call: Any = None
        link.open(self._received)
        self._run()

    def _run(self) -> None:
        if self._closed:
            return
        self.loop.run()
        if self._call is not None and self._call.active():
            self._call.cancel()
        if self.loop.deadline < inf:
            wait = max(0.0, self.loop.deadline - reactor.seconds())
            self._call = reactor.callLater(wait, self._elapsed)

    def _elapsed(self) -> None:
        self.link.drain()
        self._run()

    def _received(self, packet: Packet) -> None:
        if self.cut:
            return
        self.machine.receive(packet, reactor.seconds())
        if self.machine.news:
            self._run()

    def tell(self, report: Report) -> None:
        self.machine.tell(report, reactor.seconds())
        self._run()

    def close(self) -> None:
        self._closed = True
        if self._call is not None and self._call.active():
            self._call.cancel()
        self.link.close()

    # For the loop

    def begin(self) -> None:
        pass

    def decided(self, now: float, effects: Sequence[Effect]) -> None:
        pass

    def perform(self, machine: Machine, effect: Effect) -> None:
        if isinstance(effect, Hold):
            ip("address", "replace", f"{SHARED}/32", "dev", Wire.near)
            reactor.callLater(0, self.tell, Held(GROUP))
        elif isinstance(effect, Release):
            if self.holds:
                ip("address", "delete", f"{SHARED}/32", "dev", Wire.near)
            reactor.callLater(0, self.tell, Gone(GROUP))

    def send(self, machine: Machine, packet: Outgoing) -> None:
        if not self.cut:
            self.link.send(packet.data, packet.source, packet.destination)

    def report(self, effect: Effect) -> None:
        pass

    @property
    def holds(self) -> bool:
        return str(SHARED) in ip("address", "show", "dev", Wire.near)


class Ucarp:
    """The other host."""

    def __init__(
        self, wire: Wire, tmp: Path, skew: int, *more: str, own: IPv4Address = PEER
    ) -> None:
        self._wire = wire
        scripts = []
        for name, verb in (("up", "replace"), ("down", "delete")):
            script = tmp / name
            script.write_text(f"#!/bin/sh\nip address {verb} {SHARED}/32 dev {Wire.far}\n")
            script.chmod(0o755)
            scripts.append(str(script))
        words = ["-i", Wire.far, "-s", str(own), "-v", str(VHID), "-p", PASSWORD, "-a", str(SHARED)]
        words += ["-b", "1", "-k", str(skew), "-u", scripts[0], "-d", scripts[1]]
        # Else it looks each ten seconds only for a carrier, which a new wire has a moment later.
        words += ["-f", "none", "-z", "--ignoreifstate"]
        with wire.there.entered():
            self._process = subprocess.Popen(
                ["ucarp", *words, *more], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )

    @property
    def holds(self) -> bool:
        return str(SHARED) in self._wire.farIp("address", "show", "dev", Wire.far)

    def end(self, number: int = signal.SIGTERM) -> None:
        os.kill(self._process.pid, number)
        self._process.wait()

    def close(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()


class Pair:
    """Both, and how long something takes."""

    def __init__(self, wire: Wire, tmp: Path) -> None:
        self.wire, self.tmp = wire, tmp
        self.made: list[Node | Ucarp] = []

    def node(self, **more: Any) -> Node:
        self.made.append(made := Node(**more))
        return made

    def ucarp(self, skew: int, *more: str, **others: Any) -> Ucarp:
        self.made.append(made := Ucarp(self.wire, self.tmp, skew, *more, **others))
        return made

    async def until(self, holder: Node | Ucarp, other: Node | Ucarp | None = None) -> float:
        """Until this one holds, and the other one does not."""
        began = time.monotonic()
        await self.wire.until(
            lambda: holder.holds and not (other is not None and other.holds), PATIENCE
        )
        return time.monotonic() - began


@pytest_twisted.async_yield_fixture
async def pair(tmp_path: Path) -> AsyncIterator[Pair]:
    """A wire between this host and another one."""
    made = Pair(Wire(), tmp_path)
    yield made
    for each in made.made:
        each.close()
    made.wire.close()


@pytest_twisted.ensureDeferred
async def test_faster(pair: Pair) -> None:
    """The faster node takes it from ucarp, which lets go; when it stops, ucarp has it again by the goodbye."""
    ucarp = pair.ucarp(50)
    assert await pair.until(ucarp) < 3 + 1 + 1
    node = pair.node(advskew=0, preempt=True)
    taken = await pair.until(node, ucarp)
    assert taken < 1.2 + 1.2 + 1  # ucarp reads what it has captured once a second
    node.tell(Stopped())
    back = await pair.until(ucarp, node)
    assert back < 1 + 0.5
    print(f"\ntaken from ucarp in {taken:.3f} s, back there in {back:.3f} s")


@pytest_twisted.ensureDeferred
async def test_slower(pair: Pair) -> None:
    """The slower node yields to ucarp at once, and takes over when that is silent, which says no goodbye."""
    node = pair.node(advskew=50)
    alone = await pair.until(node)
    assert 3 < alone < 3 + 50 / 256 + MOMENT + 0.1
    ucarp = pair.ucarp(0, "-P")
    yielded = await pair.until(ucarp, node)
    assert yielded < 4.5
    ucarp.end()
    back = await pair.until(node, ucarp)
    assert back < 3 + 50 / 256 + MOMENT + 0.1
    assert not node.link.bad, node.link.bad
    print(f"\nalone in {alone:.3f} s, ucarp had it in {yielded:.3f} s, back in {back:.3f} s")


@pytest.mark.parametrize("lower", [True, False])
@pytest_twisted.ensureDeferred
async def test_equal(pair: Pair, lower: bool) -> None:
    """Of two that are as fast, and both master after a cut, the one with the lower address stays."""
    own = OWN if lower else IPv4Address("10.9.0.3")
    ip("address", "replace", f"{own}/24", "dev", Wire.near)
    node = pair.node(own=own)
    await pair.until(node)
    node.cut = True
    ucarp = pair.ucarp(0)
    await pair.until(ucarp)
    assert node.holds
    node.cut = False
    healed = await (pair.until(node, ucarp) if lower else pair.until(ucarp, node))
    assert healed < 2 + 0.5
    print(f"\none holds {healed:.3f} s after the cut")


@pytest_twisted.ensureDeferred
async def test_stays(pair: Pair) -> None:
    """Without preempt, and as fast as each other, the one that was master stays."""
    ucarp = pair.ucarp(0)
    await pair.until(ucarp)
    node = pair.node(preempt=True)
    heard = node.machine.vhosts[GROUP]
    await pair.wire.until(lambda: heard.master is not None)
    until = time.monotonic() + 5
    while time.monotonic() < until:
        await pair.wire.until(lambda: True)
        assert not node.holds
    assert ucarp.holds
    ucarp.end(signal.SIGKILL)
    await pair.wire.until(lambda: node.holds, 3 + MOMENT + 0.1)


@pytest_twisted.ensureDeferred
async def test_otherPassword(pair: Pair) -> None:
    """With another password ucarp is not heard: both hold, and the reason is counted."""
    ucarp = pair.ucarp(0)
    await pair.until(ucarp)
    node = pair.node(advskew=50, password="other")
    await pair.until(node)
    assert ucarp.holds
    assert node.link.bad["signature"] >= 2
