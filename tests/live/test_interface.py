"""An interface that is down at boot, on a host with several, in the real kernel."""

from __future__ import annotations

import subprocess
from collections.abc import AsyncIterator, Callable, Iterator

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from hatwist.core.errors import ResourceError
from hatwist.linux.netlink.socket import Netlink
from hatwist.resources.interface import Interface
from tests.contracts import CONTRACT, Part

pytestmark = pytest.mark.needs("ip")


def ip(*arguments: str) -> str:
    """Run ip(8), and return what it says."""
    return subprocess.run(
        ["ip", *arguments], check=True, capture_output=True, text=True
    ).stdout.strip()


def isUp(name: str) -> bool:
    """Whether the kernel has it up, as ip(8) sees it."""
    return "UP" in ip("-o", "link", "show", "dev", name).split("<")[1].split(">")[0].split(",")


@pytest.fixture
def shared() -> Iterator[str]:
    """The name of an interface that is down, as at boot."""
    ip("link", "add", "shared0", "type", "veth", "peer", "name", "shared1")
    yield "shared0"
    if "shared0" in ip("-br", "link"):
        ip("link", "delete", "shared0")


@pytest_twisted.async_yield_fixture
async def netlink() -> AsyncIterator[Netlink]:
    """The kernel of this world."""
    kernel = Netlink(reactor)
    kernel.start()
    yield kernel
    kernel.stop()


def interface(netlink: Netlink, name: str) -> Interface:
    """The resource under test."""
    return Interface(reactor, netlink, name)


async def until(condition: Callable[[], object]) -> None:
    """Wait for C{condition()} to be true, ten seconds at most."""
    for _ in range(1000):
        if condition():
            return
        await deferLater(reactor, 0.01)
    raise AssertionError(f"{condition} did not come true within 10 s")


@pytest.mark.parametrize("part", CONTRACT, ids=lambda part: part.__name__)
@pytest_twisted.ensureDeferred
async def test_contract(part: Part, netlink: Netlink, shared: str) -> None:
    """An interface keeps the contract of every resource."""
    await part(interface(netlink, shared))


@pytest_twisted.ensureDeferred
async def test_upAndDown(netlink: Netlink, shared: str) -> None:
    """Acquiring sets it up and releasing sets it down, as everybody else sees it."""
    resource = interface(netlink, shared)
    assert not isUp(shared)
    await resource.acquire()
    assert isUp(shared)
    await resource.release()
    assert not isUp(shared)


@pytest_twisted.ensureDeferred
async def test_leftUp(netlink: Netlink, shared: str) -> None:
    """An interface that a crashed daemon left up is set down by the release at the next start."""
    ip("link", "set", shared, "up")
    await interface(netlink, shared).release()
    assert not isUp(shared)


@pytest_twisted.ensureDeferred
async def test_setDownByHand(netlink: Netlink, shared: str) -> None:
    """What somebody sets down while it is held is up again, every time; after the release it stays down."""
    resource = interface(netlink, shared)
    losses: list[str] = []
    resource.watch(losses.append)
    await resource.acquire()
    for _ in range(3):
        ip("link", "set", shared, "down")
        await until(lambda: isUp(shared))
    await resource.release()
    told: list[object] = []
    netlink.subscribe(told.extend)
    ip("link", "set", shared, "up")
    ip("link", "set", shared, "down")
    await until(lambda: len(told) >= 2)
    assert not isUp(shared)
    assert losses == []


@pytest_twisted.ensureDeferred
async def test_removed(netlink: Netlink, shared: str) -> None:
    """An interface that is removed while it is held is lost, and who watches is told."""
    resource = interface(netlink, shared)
    lost: Deferred[str] = Deferred()
    resource.watch(lost.callback)
    await resource.acquire()
    ip("link", "delete", shared)
    reason = await lost.addTimeout(10, reactor)
    assert reason == f"interface {shared}: there is none of this name (ip link shows them)"
    await resource.release()


@pytest_twisted.ensureDeferred
async def test_missing(netlink: Netlink) -> None:
    """An interface that does not exist is refused by name, and its release succeeds."""
    resource = interface(netlink, "nosuch0")
    with pytest.raises(ResourceError, match="interface nosuch0: there is none of this name"):
        await resource.acquire()
    await resource.release()
    assert not await resource.verify()
