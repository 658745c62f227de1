"""An alias of /etc/network/interfaces, brought up by ifup and down by ifdown: the ancestor's way."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from twisted.internet.defer import CancelledError, Deferred, DeferredLock
from twisted.logger import Logger
from zope.interface import implementer

from hatwist.core.errors import ResourceError
from hatwist.core.table import Table
from hatwist.linux.interfaces import INetlink, ISender
from hatwist.linux.lan.sender import PacketSender
from hatwist.linux.netlink.messages import (
    Event,
    EventsLost,
    KernelAddress,
    KernelLink,
    LinkChange,
    encodeDelete,
)
from hatwist.protocols import frames
from hatwist.resources.addresses.announcing import Announcer
from hatwist.resources.addresses.removing import asked, explained
from hatwist.resources.interfaces import IAnnouncer, ICloseable, IFenced, IResource
from hatwist.resources.process import IProgramReactor, run
from hatwist.resources.spec import TIMEOUT, World, readTimeout
from hatwist.resources.vigil import Vigil

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,14}\Z")


def aliasName(value: object) -> str:
    """
    A name for ifup and ifdown.

    @raise ValueError: it is none, or could be taken for an option.
    """
    if not isinstance(value, str) or not _NAME.match(value):
        raise ValueError("allowed is a name for ifup, such as eth0:1")
    return value


@dataclass(frozen=True, slots=True)
class AliasSpec:
    """
    A name for ifup and ifdown.

    @ivar timeout: seconds that each of them may take.
    """

    kind: ClassVar[str] = "alias"
    alias: str
    timeout: float = TIMEOUT

    @classmethod
    def read(cls, table: Table) -> AliasSpec:
        """Of a table with the key C{alias}."""
        return cls(table.take("alias", aliasName, ""), readTimeout(table))

    @property
    def given(self) -> str:
        return self.alias

    @property
    def programs(self) -> tuple[str, ...]:
        return "ifup", "ifdown"

    @property
    def releaseTime(self) -> float:
        return 2 * self.timeout

    @property
    def shared(self) -> object:
        return repr(self)

    def identity(self, group: str) -> Hashable:
        return self.alias

    def make(self, world: World) -> Alias:
        return Alias(
            *(world.reactor, self.alias, world.netlink, self.timeout),
            openSender=world.openSender,
            permitted=world.permitted,
        )

    def __str__(self) -> str:
        return f"{self.kind} {self.given}"


class _Shown(NamedTuple):
    """An address of the alias, as the kernel shows it."""

    entry: KernelAddress
    link: KernelLink

    def __str__(self) -> str:
        return f"{self.entry.address}/{self.entry.prefix}"


@implementer(IResource, IAnnouncer, ICloseable, IFenced)
class Alias:
    """
    Held while the kernel shows what C{ifup NAME} configures.

    That is, for a name such as C{eth0:1}, an IPv4 address with this label (IPv6 addresses have none: give
    them as addresses); for an interface's own name, that it is up and has an address.

    The exit codes of ifup and ifdown prove nothing. Both believe a state file, so that they do nothing, and
    end with 0, where it and the kernel disagree; then C{ifdown --force} sets them right.

    @param timeout: seconds that each ifup and ifdown may take.
    @ivar acquireTime, releaseTime: seconds that these may take: of ifup after both kinds of ifdown, or those.
    @ivar managed: see L{IResource}.
    @param openSender: opens what announces on an interface; OSError when that is not possible.
    @param permitted: asked before it is announced or brought back.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: IProgramReactor,
        name: str,
        netlink: INetlink,
        timeout: float = TIMEOUT,
        openSender: Callable[[KernelLink], ISender] = PacketSender,
        permitted: Callable[[], bool] = lambda: True,
    ) -> None:
        self._reactor = reactor
        self._alias = self.managed = name
        self._netlink = netlink
        self._timeout = timeout
        self.acquireTime = 3 * timeout
        self.releaseTime = 2 * timeout
        self._openSender = openSender
        self._oneAtATime = DeferredLock()
        self.name = f"ifup {name}"
        self.term = 0
        self._held: list[_Shown] = []
        self._senders: dict[tuple[int, str], ISender] = {}
        self._announcer = Announcer(reactor, self._announcements, permitted)
        self._vigil = Vigil(reactor, self.name, self.verify, self._ifupAgain, permitted)
        self._vigil.lost = self._isLost
        self._lost: Callable[[str], None] | None = None

    def acquire(self) -> Deferred[None]:
        """Run ifup, unless the kernel shows that it is up already, and announce what it shows."""
        return self._oneAtATime.run(lambda: Deferred.fromCoroutine(self._acquire()))

    def release(self) -> Deferred[None]:
        """
        Run ifdown, and with --force if that left anything; fires when the kernel shows nothing.

        What both leave, because a script of theirs hangs perhaps, is deleted here. So is it, at once, when this is
        cancelled: it succeeds then, since the address is gone.
        """
        return self._oneAtATime.run(lambda: Deferred.fromCoroutine(self._release()))

    def verify(self) -> Deferred[bool]:
        """Ask the kernel whether it is up."""
        return Deferred.fromCoroutine(self._verify())

    def watch(self, lost: Callable[[str], None]) -> None:
        """Call C{lost} when its address was deleted and ifup could not bring it back."""
        self._lost = lost

    @property
    def announced(self) -> int:
        """How many frames told the LAN where it is."""
        return self._announcer.sent

    def announce(self) -> None:
        """See L{IAnnouncer.announce}."""
        if self._held:
            self._announcer.start()

    def close(self) -> None:
        """Give the packet sockets back. Takes some ms each: after the release, not before."""
        self._stopAnnouncing()
        senders, self._senders = self._senders, {}
        for sender in senders.values():
            sender.close()

    async def _acquire(self) -> None:
        await self._vigil.end()
        shown = await self._shown()
        if shown:
            self._hold(shown)
        else:
            await self._ifup()
        self._vigil.begin(self._netlink.subscribe(self._changed))

    async def _release(self) -> None:
        self._stopAnnouncing()
        try:
            await self._vigil.end()
            said = await self._ifdown()
        except CancelledError:
            # Time is up for ifdown, which was killed, and not for the address.
            said = "ifdown was cut short"
        if await self._shown():
            self._log.warn("{name}: {said}, so that it is deleted here", name=self.name, said=said)
            await self._delete()
        if left := await self._shown():
            raise ResourceError(
                f"{self.name}: ifdown left {_list(left)}, even with --force ({said})"
            )

    async def _verify(self) -> bool:
        return bool(await self._shown())

    async def _ifdown(self) -> str:
        """Run ifdown, with --force too if that left anything, and return what to tell of it."""
        try:
            said = await self._run("ifdown")
            if await self._shown():
                said = await self._run("ifdown", "--force")
        except ResourceError as error:  # it is missing, or hangs
            said = str(error)
        return said

    async def _delete(self) -> None:
        """Delete the addresses, ifdown or not."""
        left = [each.entry for each in await self._shown()]
        deletions = [encodeDelete(each.address, each.prefix, each.ifindex) for each in left]
        await asked(self.name, self._netlink.request(deletions))

    def _ifupAgain(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self._ifup(again=True))

    async def _ifup(self, again: bool = False) -> None:
        """Two attempts, with C{ifdown --force} before the second, or before both of them when C{again}."""
        for force in (again, True):
            if force:
                await self._run("ifdown", "--force")
            said = await self._run("ifup")
            if shown := await self._shown():
                self._hold(shown)
                return
        raise ResourceError(f"{self.name}: the kernel shows no such address ({said})")

    async def _run(self, *command: str) -> str:
        """Run it, and return what to tell of it. Only a program that is missing or hangs is an error here."""
        argv = [*command, self._alias]
        environment = {"HATWIST_TERM": str(self.term)}
        ending = await run(self._reactor, argv, self._timeout, environment)
        return f"{' '.join(argv)} ended with {ending.code}" + (
            f": {ending.words}" if ending.words else ""
        )

    async def _shown(self) -> list[_Shown]:
        """What the kernel shows of it."""
        dumped = await asked(self.name, self._netlink.dumpLinks())
        links = {link.ifindex: link for link in dumped}
        return [
            _Shown(each, links[each.ifindex])
            for each in await asked(self.name, self._netlink.dumpAddresses())
            if each.ifindex in links and self._isOurs(each, links[each.ifindex])
        ]

    def _isOurs(self, entry: KernelAddress, link: KernelLink) -> bool:
        if ":" in self._alias:
            return entry.label == self._alias
        return link.name == self._alias and link.up and not entry.address.is_link_local

    def _hold(self, shown: list[_Shown]) -> None:
        """It is up: announce it, now and by the schedule."""
        for link in {each.link.ifindex: each.link for each in shown}.values():
            key = link.ifindex, link.name
            if key not in self._senders and link.resolves:
                try:
                    self._senders[key] = self._openSender(link)
                except OSError as error:
                    raise ResourceError(
                        f"{self.name}: cannot announce on {link.name}: {explained(error.errno)}"
                    ) from error
        self._held = shown
        self._announcer.start()

    def _announcements(self) -> Iterator[tuple[ISender, bytes]]:
        for entry, link in self._held:
            sender = self._senders.get((link.ifindex, link.name))
            if sender is not None:
                for frame in frames.announcements(link.mac, entry.address, router=link.forwards):
                    yield sender, frame

    def _stopAnnouncing(self) -> None:
        self._held = []
        self._announcer.stop()

    def _isLost(self, reason: str) -> None:
        self._stopAnnouncing()
        if self._lost is not None:
            self._lost(reason)

    def _changed(self, events: Sequence[Event]) -> None:
        for event in events:
            if isinstance(event, LinkChange):
                self._linkChanged(event.link)
            if isinstance(event, EventsLost | LinkChange) or not event.present:
                self._vigil.suspect()

    def _linkChanged(self, link: KernelLink) -> None:
        """Announce again when the interface has a carrier again, or another MAC address."""
        before = next((each.link for each in self._held if each.link.ifindex == link.ifindex), None)
        if before is not None:
            self._held = [
                each._replace(link=link) if each.link.ifindex == link.ifindex else each
                for each in self._held
            ]
            if link.mac != before.mac or (link.running and not before.running):
                self._announcer.start()


def _list(addresses: Sequence[_Shown]) -> str:
    return ", ".join(map(str, addresses))
