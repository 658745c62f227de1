"""The recipe for firewalls of docs/recipes.rst, with the real conntrackd: connections outlive their firewall."""

from __future__ import annotations

import re
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_twisted
from twisted.internet.protocol import Factory, Protocol

from hatwist.core.errors import HatwistError
from tests.recipes import Rig, block, reactor

PORT = 8000
OTHER = {"10.99.0.1": "10.99.0.2", "10.99.0.2": "10.99.0.1"}
# Every host has its own configuration, as if it had its own /etc.
CONNTRACKD = '#!/bin/sh\nexec /usr/sbin/conntrackd -C "$HERE/$HOST/conntrackd.conf" "$@"\n'


class Echo(Protocol):
    """Says what it hears."""

    def dataReceived(self, data: bytes) -> None:
        assert self.transport is not None
        self.transport.write(data)


class Caller(Protocol):
    """Keeps what it hears."""

    def __init__(self) -> None:
        self.heard = b""
        self.ended = False

    def dataReceived(self, data: bytes) -> None:
        self.heard += data

    def connectionLost(self, reason: object = None) -> None:
        self.ended = True


class Firewalls(Rig):
    """The client on one side, a server on the other, alpha and beta between."""

    def __init__(self, here: Path, text: str) -> None:
        super().__init__(here, text, links=2, others=("server",))
        self.install("conntrackd", CONNTRACKD)
        client, server = self.lab.lan.client, self.host("server")
        client.setLink("eth1", up=False)
        server.setLink("eth0", up=False)
        client.run(["ip", "route", "add", "10.99.1.0/24", "via", self.lab.address])
        ours = {"/var/lock/conntrackd.lock": "{}/lock", "/var/run/conntrackd.ctl": "{}/ctl"}
        for host in self.lab.names:
            here = self.here / host
            conf = block("conntrackd.conf", {k: v.format(here) for k, v in ours.items()})
            if host == "beta":
                conf = re.sub(r"\b10\.99\.0\.[12]\b", lambda m: OTHER[m[0]], conf)
            (here / "conntrackd.conf").write_text(conf)
            (here / "firewall.nft").write_text(block("firewall.nft"))
            self.boot(host)

    def boot(self, name: str) -> None:
        """Nothing of an earlier run; its rules, and its conntrackd."""
        host = self.host(name)
        (self.here / name / "lock").unlink(missing_ok=True)
        host.run(["conntrack", "-F"])
        host.run(["nft", "flush", "ruleset"])
        host.run(["nft", "-f", str(self.here / name / "firewall.nft")])
        for line in block("firewall.sysctl").splitlines():
            host.run(["sysctl", "-q", "-w", line.replace(" ", "")])
        env = self.environment(name)
        host.spawn(reactor, ["env", *(f"{k}={v}" for k, v in env.items()), "conntrackd"])

    def runs(self, name: str) -> bool:
        """Does its conntrackd answer?"""
        try:
            self.run(name, "conntrackd", "-s")
        except HatwistError:
            return False
        return True

    def knows(self, name: str, port: int) -> bool:
        """Has it been told of the connection from this port?"""
        return any(
            f"sport={port} " in line and "ESTABLISHED" in line
            for line in self.run(name, "conntrackd", "-e").splitlines()
        )

    async def start(self) -> None:
        """All run, alpha holds."""
        for host in self.lab.names:
            await self.until(lambda host=host: self.runs(host), f"conntrackd on {host}")  # type: ignore[misc]
        await self.lab.start()

    def listen(self) -> Callable[[], object]:
        """The server listens; call the result to end it."""
        listening = self.host("server").socket(socket.AF_INET, socket.SOCK_STREAM)
        listening.bind(("10.99.1.3", PORT))
        listening.listen()
        listening.setblocking(False)
        factory = Factory.forProtocol(Echo)
        port = reactor.adoptStreamPort(listening.fileno(), socket.AF_INET, factory)
        listening.close()
        return lambda: port.stopListening()

    def call(self) -> tuple[Caller, int]:
        """A connection of the client to the server; its local port."""
        calling = self.lab.lan.client.socket(socket.AF_INET, socket.SOCK_STREAM)
        calling.settimeout(5)
        calling.connect(("10.99.1.3", PORT))
        calling.setblocking(False)
        caller = Caller()
        port = calling.getsockname()[1]
        factory = Factory.forProtocol(lambda: caller)
        reactor.adoptStreamConnection(calling.fileno(), socket.AF_INET, factory)
        calling.close()
        return caller, port


async def answered(rig: Firewalls, caller: Caller, word: bytes, timeout: float = 10.0) -> bool:
    """Say a word; has the answer come in time?"""
    assert caller.transport is not None
    caller.transport.write(word)
    end = reactor.seconds() + timeout
    while not caller.heard.endswith(word) and not caller.ended and reactor.seconds() < end:
        await rig.lab.elapse(0.02)
    return caller.heard.endswith(word)


@pytest_twisted.async_yield_fixture()
async def firewalls(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Firewalls]:
    """alpha and beta, alpha holding both addresses; a parameter is cut out of the configuration."""
    text = block("conntrackd.toml")
    without = getattr(request, "param", "")
    assert without in text
    made = Firewalls(tmp_path, text.replace(without, "") if without else text)
    stop = made.listen()
    try:
        await made.start()
        yield made
    finally:
        stop()
        await made.close()


@pytest.mark.needs("conntrack", "conntrackd", "nft", "ip")
@pytest_twisted.ensureDeferred
async def test_survives(firewalls: Firewalls) -> None:
    """A connection through alpha goes on through beta when alpha dies, and through alpha again when it is back."""
    lab = firewalls.lab
    caller, port = firewalls.call()
    assert await answered(firewalls, caller, b"one")
    await firewalls.until(lambda: firewalls.knows("beta", port), "beta knows the connection")
    firewalls.host("alpha").powerOff()
    await lab.untilOnly("beta")
    assert await answered(firewalls, caller, b"two"), lab.said()
    firewalls.host("alpha").powerOn()
    firewalls.boot("alpha")
    await firewalls.until(lambda: firewalls.runs("alpha"), "conntrackd on alpha")
    await firewalls.until(lambda: firewalls.knows("alpha", port), "alpha knows the connection")
    lab.run("alpha")
    await lab.untilOnly("alpha")
    assert await answered(firewalls, caller, b"three"), lab.said()
    assert caller.heard == b"onetwothree"
    other, _ = firewalls.call()
    assert await answered(firewalls, other, b"new")


@pytest.mark.needs("conntrack", "conntrackd", "nft", "ip")
@pytest_twisted.ensureDeferred
async def test_handedOver(firewalls: Firewalls) -> None:
    """It goes on when alpha is stopped in good order, too, and what alpha knew of it ends there."""
    lab = firewalls.lab
    caller, port = firewalls.call()
    assert await answered(firewalls, caller, b"one")
    await firewalls.until(lambda: firewalls.knows("beta", port), "beta knows the connection")
    lab.programs["alpha"].stop()
    await lab.untilOnly("beta")
    assert await answered(firewalls, caller, b"two"), lab.said()
    assert await lab.programs["alpha"].ended() in (0, 128 + 15)


@pytest.mark.needs("conntrack", "conntrackd", "nft", "ip")
@pytest.mark.parametrize("firewalls", ['prepare = ["conntrackd", "-c"]\n'], indirect=True)
@pytest_twisted.ensureDeferred
async def test_wouldNot(firewalls: Firewalls) -> None:
    """Without the command that commits, the connection does not survive: it is that which saves it."""
    lab = firewalls.lab
    caller, port = firewalls.call()
    assert await answered(firewalls, caller, b"one")
    await firewalls.until(lambda: firewalls.knows("beta", port), "beta knows the connection")
    firewalls.host("alpha").powerOff()
    await lab.untilOnly("beta")
    assert not await answered(firewalls, caller, b"two", timeout=3.0)


@pytest.mark.needs("conntrack", "conntrackd", "nft", "ip")
@pytest_twisted.ensureDeferred
async def test_withoutConntrackd(firewalls: Firewalls) -> None:
    """Where conntrackd does not run the addresses come all the same, and the failure is logged."""
    lab = firewalls.lab
    firewalls.run("beta", "conntrackd", "-k")
    await firewalls.until(lambda: not firewalls.runs("beta"), "conntrackd has ended")
    firewalls.host("alpha").powerOff()
    await lab.untilOnly("beta")
    await lab.programs["beta"].says("a command of the event prepare failed: conntrackd -c: ")
    caller, _ = firewalls.call()
    assert await answered(firewalls, caller, b"new")
