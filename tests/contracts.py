"""What every resource owes: one mixin for trial's test cases, one list of coroutines for live tests."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Protocol

from twisted.internet.defer import Deferred
from zope.interface.verify import verifyObject

from hatwist.resources.interfaces import IResource


class Resource(Protocol):
    """L{IResource} for the type checker."""

    @property
    def name(self) -> str: ...

    def acquire(self) -> Deferred[None]: ...
    def release(self) -> Deferred[None]: ...
    def verify(self) -> Deferred[bool]: ...
    def watch(self, lost: Callable[[str], None]) -> None: ...


async def provides(resource: Resource) -> None:
    """It provides the interface, and has a name for the log."""
    assert verifyObject(IResource, resource)
    assert resource.name


async def acquireAndRelease(resource: Resource) -> None:
    """What is acquired is held, and what is released is not."""
    assert not await resource.verify()
    await resource.acquire()
    assert await resource.verify()
    await resource.release()
    assert not await resource.verify()


async def acquireTwice(resource: Resource) -> None:
    """Acquiring what is held succeeds, and one release undoes it."""
    await resource.acquire()
    await resource.acquire()
    assert await resource.verify()
    await resource.release()
    assert not await resource.verify()


async def releaseUnheld(resource: Resource) -> None:
    """Releasing what is not held succeeds, twice too, and it can be acquired afterwards."""
    await resource.release()
    await resource.release()
    assert not await resource.verify()
    await resource.acquire()
    assert await resource.verify()
    await resource.release()


async def cancelledAcquire(resource: Resource) -> None:
    """A cancelled acquire leaves something that release removes and acquire can bring up."""
    acquiring = resource.acquire()
    acquiring.addErrback(lambda failure: None)
    acquiring.cancel()
    await acquiring
    await resource.release()
    assert not await resource.verify()
    await resource.acquire()
    assert await resource.verify()
    await resource.release()


async def losesNothingOfItsOwn(resource: Resource) -> None:
    """A release is no loss: who watches is not told of it."""
    losses: list[str] = []
    resource.watch(losses.append)
    await resource.acquire()
    await resource.release()
    assert not await resource.verify()
    assert losses == []


Part = Callable[[Resource], Coroutine[Deferred[object], object, None]]

CONTRACT: tuple[Part, ...] = (
    provides,
    acquireAndRelease,
    acquireTwice,
    releaseUnheld,
    cancelledAcquire,
    losesNothingOfItsOwn,
)


class ResourceContract:
    """
    Mixed into a L{TestCase} that makes a resource, every part of the contract is a test of it.

    In a live test: C{@pytest.mark.parametrize("part", CONTRACT, ids=lambda part: part.__name__)}.
    """

    def makeResource(self) -> Resource:
        """A resource that is not held yet."""
        raise NotImplementedError(f"{type(self).__name__} must say which resource it tests")


def _test(part: Part) -> Callable[[ResourceContract], object]:
    def test(self: ResourceContract) -> Deferred[None]:
        async def run() -> None:
            await part(self.makeResource())

        return Deferred.fromCoroutine(run())

    test.__doc__ = part.__doc__
    return test


for _part in CONTRACT:
    setattr(ResourceContract, f"test_{_part.__name__}", _test(_part))
