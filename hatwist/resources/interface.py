"""A network interface that is up only on the node that is ACTIVE."""

from __future__ import annotations

import struct
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from hatwist.core import parsing
from hatwist.core.errors import ResourceError
from hatwist.core.limits import LIMIT
from hatwist.core.table import Table
from hatwist.linux.interfaces import INetlink
from hatwist.linux.netlink.messages import (
    IFF_UP,
    NLM_F_ACK,
    NLM_F_REQUEST,
    RTM_SETLINK,
    Event,
    EventsLost,
    KernelLink,
    LinkChange,
)
from hatwist.resources.addresses.removing import asked, explained
from hatwist.resources.interfaces import IResource
from hatwist.resources.spec import World
from hatwist.resources.vigil import Vigil

# struct nlmsghdr and struct ifinfomsg (linux/netlink.h, linux/rtnetlink.h)
_SET_LINK = struct.Struct("=IHHII BxHiII")


def encodeUp(ifindex: int, up: bool) -> bytes:
    """Encode "set this interface up (or down)", and no other flag of it."""
    flags = IFF_UP if up else 0
    how = NLM_F_REQUEST | NLM_F_ACK
    return _SET_LINK.pack(_SET_LINK.size, RTM_SETLINK, how, 0, 0, 0, 0, ifindex, flags, IFF_UP)


@dataclass(frozen=True, slots=True)
class InterfaceSpec:
    """An interface that is up where the group is."""

    kind: ClassVar[str] = "interface"
    interface: str

    @classmethod
    def read(cls, table: Table) -> InterfaceSpec:
        """Of a table with the key C{interface}."""
        return cls(table.take("interface", parsing.interface, ""))

    @property
    def given(self) -> str:
        return self.interface

    @property
    def programs(self) -> tuple[str, ...]:
        return ()

    @property
    def releaseTime(self) -> float:
        return LIMIT

    @property
    def shared(self) -> object:
        return repr(self)

    def identity(self, group: str) -> Hashable:
        return self.interface

    def make(self, world: World) -> Interface:
        return Interface(world.reactor, world.netlink, self.interface, world.permitted)

    def __str__(self) -> str:
        return f"{self.kind} {self.given}"


@implementer(IResource)
class Interface:
    """
    Held while the interface is up: for a host with several, whose shared one is down at boot.

    Setting it down takes its IPv6 addresses and its routes with it, as the kernel has it; its IPv4 addresses
    stay, unreachable. Somebody else's setting it down while it is held is undone.

    @param permitted: asked before that.
    @ivar managed: see L{IResource}.
    """

    def __init__(
        self,
        reactor: IReactorTime,
        netlink: INetlink,
        name: str,
        permitted: Callable[[], bool] = lambda: True,
    ) -> None:
        self._netlink = netlink
        self.interface = self.managed = name
        self.name = f"interface {name}"
        self._vigil = Vigil(reactor, self.name, self.verify, self._up, permitted)

    def acquire(self) -> Deferred[None]:
        """Set it up."""
        return Deferred.fromCoroutine(self._acquire())

    def release(self) -> Deferred[None]:
        """Set it down. An interface that does not exist is down."""
        return Deferred.fromCoroutine(self._release())

    def verify(self) -> Deferred[bool]:
        """Whether it is up."""
        return Deferred.fromCoroutine(self._verify())

    def watch(self, lost: Callable[[str], None]) -> None:
        """Call C{lost} when it was set down, or removed, and could not be set up again."""
        self._vigil.lost = lost

    async def _acquire(self) -> None:
        await self._vigil.end()
        await self._up()
        self._vigil.begin(self._netlink.subscribe(self._changed, [self.interface]))

    async def _release(self) -> None:
        await self._vigil.end()
        link = await self._find()
        if link is not None and link.up:
            await self._set(link, False)

    async def _verify(self) -> bool:
        link = await self._find()
        return link is not None and link.up

    def _up(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self._setUp())

    async def _setUp(self) -> None:
        link = await self._find()
        if link is None:
            raise ResourceError(f"{self.name}: there is none of this name (ip link shows them)")
        if not link.up:
            await self._set(link, True)

    async def _set(self, link: KernelLink, up: bool) -> None:
        wanted = "up" if up else "down"
        answer = self._netlink.request([encodeUp(link.ifindex, up)])
        (number,) = await asked(self.name, answer)
        if number:
            raise ResourceError(f"{self.name}: cannot be set {wanted}: {explained(number)}")
        if await self._verify() is not up:
            raise ResourceError(f"{self.name}: the kernel said yes, and it is not {wanted}")

    async def _find(self) -> KernelLink | None:
        links = await asked(self.name, self._netlink.dumpLinks())
        return next((link for link in links if link.name == self.interface), None)

    def _changed(self, events: Sequence[Event]) -> None:
        for event in events:
            if isinstance(event, EventsLost) or (
                isinstance(event, LinkChange)
                and event.link.name == self.interface
                and not (event.present and event.link.up)
            ):
                self._vigil.suspect()
                return
