"""The ancestor's alias, with Debian's real ifupdown and its interfaces file."""

from __future__ import annotations

import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import cast

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import deferLater

from hatwist.errors import ResourceError
from hatwist.linux.netlink import Netlink
from hatwist.resources.alias import Alias
from hatwist.resources.process import IProgramReactor
from tests.contracts import CONTRACT, Part

pytestmark = pytest.mark.needs("ifup", "ip")

FILE = Path("/etc/network/interfaces")
STATE = Path("/run/network/ifstate")
# The host's own address comes up at boot; the shared one, without "auto", only when ifup is asked for it.
INTERFACES = """\
auto lo
iface lo inet loopback

auto eth0
iface eth0 inet static
    address 192.168.1.10
    netmask 255.255.255.0

iface eth0:1 inet static
    address 192.168.1.100
    netmask 255.255.255.0
"""
SHARED = "192.168.1.100/24"


def sh(*command: str) -> str:
    """Run a command, and return what it says."""
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def labelled(label: str) -> list[str]:
    """The addresses with this label, as ip(8) sees them."""
    words = sh("ip", "-o", "-4", "address", "show", "label", label).split()
    return [after for word, after in pairwise(words) if word == "inet"]


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Path]:
    """A host with eth0 up as after boot, and the path of its interfaces file."""
    interfaces = tmp_path / "interfaces"
    interfaces.write_text(INTERFACES)
    (tmp_path / "network").mkdir()
    STATE.parent.mkdir(exist_ok=True)
    sh("ip", "link", "add", "eth0", "type", "veth", "peer", "name", "switch0")
    sh("ip", "link", "set", "switch0", "up")
    sh("mount", "--bind", str(interfaces), str(FILE))
    sh("mount", "--bind", str(tmp_path / "network"), str(STATE.parent))
    try:
        sh("ifup", "eth0")
        yield interfaces
    finally:
        sh("umount", str(STATE.parent))
        sh("umount", str(FILE))
        sh("ip", "link", "delete", "eth0")


@pytest_twisted.async_yield_fixture
async def netlink() -> AsyncIterator[Netlink]:
    """The kernel of this world."""
    kernel = Netlink(reactor)
    kernel.start()
    yield kernel
    kernel.stop()


def alias(netlink: Netlink, name: str = "eth0:1", timeout: float = 10.0) -> Alias:
    """The resource under test."""
    return Alias(cast(IProgramReactor, reactor), name, netlink, timeout)


async def until(condition: Callable[[], object]) -> None:
    """Wait for C{condition()} to be true, ten seconds at most."""
    for _ in range(1000):
        if condition():
            return
        await deferLater(reactor, 0.01)
    raise AssertionError(f"{condition} did not come true within 10 s")


@pytest.mark.parametrize("part", CONTRACT, ids=lambda part: part.__name__)
@pytest_twisted.ensureDeferred
async def test_contract(part: Part, netlink: Netlink, host: Path) -> None:
    """An alias keeps the contract of every resource."""
    await part(alias(netlink))


@pytest_twisted.ensureDeferred
async def test_upAndDown(netlink: Netlink, host: Path) -> None:
    """It brings up the alias and nothing else, and takes down the alias and nothing else."""
    resource = alias(netlink)
    await resource.acquire()
    assert labelled("eth0:1") == [SHARED]
    assert "eth0:1=eth0:1" in STATE.read_text()
    await resource.release()
    assert labelled("eth0:1") == []
    assert labelled("eth0") == ["192.168.1.10/24"]
    assert "eth0:1" not in STATE.read_text()


@pytest_twisted.ensureDeferred
async def test_stateFileSaysUp(netlink: Netlink, host: Path) -> None:
    """Where ifup ends with 0 and does nothing, since its state file says "up", it comes up all the same."""
    sh("ifup", "eth0:1")
    sh("ip", "address", "delete", SHARED, "dev", "eth0")
    sh("ifup", "eth0:1")
    assert labelled("eth0:1") == []
    resource = alias(netlink)
    assert not await resource.verify()
    await resource.acquire()
    assert labelled("eth0:1") == [SHARED]


@pytest_twisted.ensureDeferred
async def test_stateFileSaysDown(netlink: Netlink, host: Path) -> None:
    """Where ifdown ends with 0 and does nothing, since its state file says "down", it is released all the same."""
    sh("ip", "address", "add", SHARED, "dev", "eth0", "label", "eth0:1")
    sh("ifdown", "eth0:1")
    assert labelled("eth0:1") == [SHARED]
    resource = alias(netlink)
    assert await resource.verify()
    await resource.release()
    assert labelled("eth0:1") == []
    await resource.acquire()
    assert labelled("eth0:1") == [SHARED]


@pytest_twisted.ensureDeferred
async def test_leftByACrash(netlink: Netlink, host: Path) -> None:
    """The address that a crashed daemon left is released by the next one."""
    sh("ifup", "eth0:1")
    await alias(netlink).release()
    assert labelled("eth0:1") == []


@pytest_twisted.ensureDeferred
async def test_deletedByHand(netlink: Netlink, host: Path) -> None:
    """An address deleted while it is held is brought back, and after the release it is not."""
    resource = alias(netlink)
    losses: list[str] = []
    resource.watch(losses.append)
    await resource.acquire()
    for _ in range(2):
        sh("ip", "address", "delete", SHARED, "dev", "eth0")
        await until(lambda: labelled("eth0:1") == [SHARED])
    await resource.release()
    assert labelled("eth0:1") == []
    assert losses == []


@pytest_twisted.ensureDeferred
async def test_notBroughtBack(netlink: Netlink, host: Path) -> None:
    """An address that ifup cannot bring back is lost, and who watches is told why."""
    resource = alias(netlink)
    lost: Deferred[str] = Deferred()
    resource.watch(lost.callback)
    await resource.acquire()
    host.write_text("")
    sh("ip", "address", "delete", SHARED, "dev", "eth0")
    reason = await lost.addTimeout(10, reactor)
    assert reason == (
        "ifup eth0:1: the kernel shows no such address "
        "(ifup eth0:1 ended with 1: ifup: unknown interface eth0:1)"
    )
    await resource.release()


@pytest_twisted.ensureDeferred
async def test_refused(netlink: Netlink, host: Path) -> None:
    """A name that the interfaces file does not have is refused with ifup's own words."""
    with pytest.raises(ResourceError, match=r"ended with 1: ifup: unknown interface eth0:7\)$"):
        await alias(netlink, "eth0:7").acquire()


@pytest_twisted.ensureDeferred
async def test_editedFile(netlink: Netlink, host: Path) -> None:
    """Where the interfaces file no longer has the alias, so that ifdown cannot help, it is released all the same."""
    resource = alias(netlink)
    await resource.acquire()
    host.write_text(INTERFACES.partition("iface eth0:1")[0])
    await resource.release()
    assert labelled("eth0:1") == []


@pytest_twisted.ensureDeferred
async def test_ifdownHangs(netlink: Netlink, host: Path) -> None:
    """An ifdown whose script hangs is killed, and the address goes all the same."""
    resource = alias(netlink, timeout=0.5)
    await resource.acquire()
    host.write_text(INTERFACES + "    down sleep 600\n")
    await resource.release()
    assert labelled("eth0:1") == []


@pytest_twisted.ensureDeferred
async def test_releaseCutShort(netlink: Netlink, host: Path) -> None:
    """A release that is cancelled while ifdown hangs leaves no address behind."""
    resource = alias(netlink, timeout=600)
    await resource.acquire()
    hanging = host.with_name("hanging")
    host.write_text(INTERFACES + f"    down touch {hanging}; sleep 600\n")
    releasing = resource.release()
    await until(hanging.exists)
    assert labelled("eth0:1") == [SHARED]
    releasing.cancel()
    with pytest.raises(CancelledError):
        await releasing
    assert labelled("eth0:1") == []


@pytest_twisted.ensureDeferred
async def test_interfaceItself(netlink: Netlink, host: Path) -> None:
    """A name without a colon is held while that interface is up with an address."""
    resource = alias(netlink, "eth0")
    assert await resource.verify()
    await resource.release()
    assert labelled("eth0") == []
    assert not await resource.verify()
    await resource.acquire()
    assert labelled("eth0") == ["192.168.1.10/24"]
