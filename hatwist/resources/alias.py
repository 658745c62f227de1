"""An alias of /etc/network/interfaces, brought up by ifup and down by ifdown: the ancestor's way."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from twisted.internet.defer import CancelledError, Deferred, DeferredLock
from twisted.logger import Logger
from zope.interface import implementer

from hatwist.errors import ResourceError
from hatwist.interfaces import IResource
from hatwist.linux import INetlink
from hatwist.linux.messages import (
    AddressChange,
    Event,
    EventsLost,
    KernelAddress,
    LinkChange,
    encodeDelete,
)
from hatwist.resources.process import IProgramReactor, run
from hatwist.resources.vigil import Vigil


@implementer(IResource)
class Alias:
    """
    Held while the kernel shows what C{ifup NAME} configures.

    That is, for a name such as C{eth0:1}, an IPv4 address with this label (IPv6 addresses have none: give
    them as addresses); for an interface's own name, that it is up and has an address.

    The exit codes of ifup and ifdown prove nothing. Both believe a state file, so that they do nothing, and
    end with 0, where it and the kernel disagree; then C{ifdown --force} sets them right.

    @param timeout: seconds that each ifup and ifdown may take.
    """

    _log = Logger()

    def __init__(
        self, reactor: IProgramReactor, name: str, netlink: INetlink, timeout: float = 10.0
    ) -> None:
        self._reactor = reactor
        self._alias = name
        self._netlink = netlink
        self._timeout = timeout
        self._oneAtATime = DeferredLock()
        self.name = f"ifup {name}"
        self._vigil = Vigil(reactor, self.name, self.verify, self._ifupAgain)

    def acquire(self) -> Deferred[None]:
        """Run ifup, unless the kernel shows that it is up already."""
        return self._oneAtATime.run(lambda: Deferred.fromCoroutine(self._acquire()))

    def release(self) -> Deferred[None]:
        """
        Run ifdown, and with --force if that left anything; fires when the kernel shows nothing.

        What both leave, because a script of theirs hangs perhaps, is deleted here. So is it when this is cancelled.
        """
        return self._oneAtATime.run(lambda: Deferred.fromCoroutine(self._release()))

    def verify(self) -> Deferred[bool]:
        """Ask the kernel whether it is up."""
        return Deferred.fromCoroutine(self._verify())

    def watch(self, lost: Callable[[str], None]) -> None:
        """Call C{lost} when its address was deleted and ifup could not bring it back."""
        self._vigil.lost = lost

    async def _acquire(self) -> None:
        await self._vigil.end()
        if not await self._addresses():
            await self._ifup()
        self._vigil.begin(self._netlink.subscribe(self._changed))

    async def _release(self) -> None:
        await self._vigil.end()
        try:
            said = await self._ifdown()
        except CancelledError:
            # Whoever cut it short will tell the others that the address is free.
            await self._delete()
            raise
        if await self._addresses():
            self._log.warn("{name}: {said}, so that it is deleted here", name=self.name, said=said)
            await self._delete()
        if left := await self._addresses():
            raise ResourceError(
                f"{self.name}: ifdown left {_list(left)}, even with --force ({said})"
            )

    async def _ifdown(self) -> str:
        """Run ifdown, with --force too if that left anything, and return what to tell of it."""
        try:
            said = await self._run("ifdown")
            if await self._addresses():
                said = await self._run("ifdown", "--force")
        except ResourceError as error:  # it is missing, or hangs
            said = str(error)
        return said

    async def _delete(self) -> None:
        """Delete the addresses, ifdown or not."""
        left = await self._addresses()
        try:
            await self._netlink.request(
                [encodeDelete(each.address, each.prefix, each.ifindex) for each in left]
            )
        except OSError as error:
            raise ResourceError(f"{self.name}: cannot delete {_list(left)}: {error}") from error

    async def _verify(self) -> bool:
        return bool(await self._addresses())

    def _ifupAgain(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self._ifup(again=True))

    async def _ifup(self, again: bool = False) -> None:
        """Two attempts, with C{ifdown --force} before the second, or before both of them when C{again}."""
        for force in (again, True):
            if force:
                await self._run("ifdown", "--force")
            said = await self._run("ifup")
            if await self._addresses():
                return
        raise ResourceError(f"{self.name}: the kernel shows no such address ({said})")

    async def _run(self, *command: str) -> str:
        """Run it, and return what to tell of it. Only a program that is missing or hangs is an error here."""
        argv = [*command, self._alias]
        ending = await run(self._reactor, argv, self._timeout)
        return f"{' '.join(argv)} ended with {ending.code}" + (
            f": {ending.words}" if ending.words else ""
        )

    async def _addresses(self) -> Sequence[KernelAddress]:
        """What the kernel shows of it."""
        try:
            addresses = await self._netlink.dumpAddresses()
            if ":" in self._alias:
                return [each for each in addresses if each.label == self._alias]
            links = await self._netlink.dumpLinks()
        except OSError as error:
            raise ResourceError(f"{self.name}: the kernel cannot be asked: {error}") from error
        up = {link.ifindex for link in links if link.name == self._alias and link.up}
        return [each for each in addresses if each.ifindex in up and not each.address.is_link_local]

    def _changed(self, events: Sequence[Event]) -> None:
        for event in events:
            if isinstance(event, EventsLost | LinkChange) or (
                isinstance(event, AddressChange) and not event.present
            ):
                self._vigil.suspect()
                return


def _list(addresses: Sequence[KernelAddress]) -> str:
    return ", ".join(f"{each.address}/{each.prefix}" for each in addresses)
