"""Letting go of addresses so that no copy of them stays on this host."""

from __future__ import annotations

import errno
import os
from collections.abc import Collection, Sequence
from typing import TypeVar

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger

from hatwist.core.errors import ResourceError
from hatwist.linux.interfaces import INetlink
from hatwist.linux.netlink.messages import (
    IFA_PROTO_HATWIST,
    IFF_LOOPBACK,
    Address,
    KernelAddress,
    KernelLink,
    encodeDelete,
    encodePromote,
)
from hatwist.resources.addresses.placing import Placement, keyOf, labelOf
from hatwist.resources.addresses.spec import AddressSpec

# Rounds of "dump, and delete what is left" before a removal has failed
ROUNDS = 3
# What a deletion may answer when nothing was there, or no longer is
_GONE = frozenset({errno.EADDRNOTAVAIL, errno.ENODEV})

_T = TypeVar("_T")


def unmarked(entry: KernelAddress) -> bool:
    """Whether nothing shows that hatwist added it."""
    return entry.proto != IFA_PROTO_HATWIST and ":" not in (entry.label or "")


class Removal:
    """
    Removes shared addresses, whoever added them: this run, an earlier one, an administrator.

    @param name: what errors call them.
    @ivar found: some were there that nobody said were placed: an earlier run's, or somebody else's.
    """

    _log = Logger()

    def __init__(self, name: str, netlink: INetlink, specs: Sequence[AddressSpec]) -> None:
        self.found = False
        self._name = name
        self._netlink = netlink
        self._specs: dict[Address, list[AddressSpec]] = {}
        for spec in specs:
            self._specs.setdefault(spec.address, []).append(spec)

    async def remove(
        self, placed: Sequence[Placement], promoted: Collection[int] = frozenset()
    ) -> None:
        """
        Delete what is C{placed}, then ask the kernel, and delete, until it knows of none.

        @param promoted: interfaces of which promote_secondaries was set for them, and is put back.
        @raise ResourceError: when one is still there after L{ROUNDS} rounds.
        """
        # Asked anew: promote_secondaries may have changed, and is put back to what it is now.
        links = await self._links()
        known = [
            (unpromoted(links[p.link.ifindex], promoted), p.delete)
            for p in placed
            if p.link.ifindex in links
        ]
        answers = await self._delete(known)
        left = await self.left()
        self.found = self.found or bool(left)
        for _ in range(ROUNDS):
            if not left:
                return
            for entry, link in left:
                self._tell(entry, link)
            answers = await self._delete([(link, encodeDelete(*keyOf(e))) for e, link in left])
            left = await self.left()
        if left:
            refused = [number for number in answers if number and number not in _GONE]
            why = explained(refused[0]) if refused else "another program adds it again"
            entry, link = left[0]
            raise ResourceError(
                f"{entry.address}/{entry.prefix} cannot be deleted from {link.name}: {why}"
            )

    def _tell(self, entry: KernelAddress, link: KernelLink) -> None:
        """Somebody looks for what has gone."""
        mark = "without" if unmarked(entry) else "with"
        self._log.warn(
            "{address}/{prefix} is on {interface}, {mark} hatwist's mark, and is deleted: "
            "it is shared, and not held here",
            address=str(entry.address),
            prefix=entry.prefix,
            interface=link.name,
            mark=mark,
        )

    async def _links(self) -> dict[int, KernelLink]:
        links = await asked(self._name, self._netlink.dumpLinks())
        return {link.ifindex: link for link in links}

    async def left(self) -> list[tuple[KernelAddress, KernelLink]]:
        """Return what is there of ours, with its interface."""
        there = await asked(self._name, self._netlink.dumpAddresses())
        there = [entry for entry in there if entry.address in self._specs]
        if not there:
            return []
        links = await self._links()
        return [
            (entry, links[entry.ifindex])
            for entry in there
            if entry.ifindex in links and self._isOurs(entry, links[entry.ifindex])
        ]

    async def _delete(self, deletions: Sequence[tuple[KernelLink, bytes]]) -> list[int]:
        """Delete, and return the errnos."""
        if not deletions:
            return []
        messages = deleting(deletions)
        answers = await asked(self._name, self._netlink.request(messages))
        around = (len(messages) - len(deletions)) // 2
        return answers[around : len(answers) - around]

    def _isOurs(self, entry: KernelAddress, link: KernelLink) -> bool:
        """
        Whether C{entry} must go: it has our mark, or is as configured, however it came there.

        With another prefix and no mark it is another program's. So it is on the loopback interface:
        a real server behind a load balancer has the shared address there.
        """
        specs = self._specs[entry.address]
        if entry.proto == IFA_PROTO_HATWIST:
            return True
        if entry.label and ":" in entry.label:
            interface = entry.label.partition(":")[0]
            if any(labelOf(spec, interface) == entry.label for spec in specs):
                return True
        return any(
            entry.prefix == spec.prefix
            and (not link.flags & IFF_LOOPBACK or spec.interface == link.name)
            for spec in specs
        )


def unpromoted(link: KernelLink, promoted: Collection[int]) -> KernelLink:
    """C{link} as it was before promote_secondaries was set here."""
    return link._replace(promotes=False) if link.ifindex in promoted else link


def deleting(deletions: Sequence[tuple[KernelLink, bytes]]) -> list[bytes]:
    """
    Return the messages that delete, with as many around them, before as after.

    In reverse, secondaries before their primary. Where the kernel would take other programs'
    secondaries along with our primary, it is told to promote one instead, for just as long.
    (Cut off in between, it stays so told, which is what most distributions set.)
    """
    indexes = sorted({link.ifindex for link, _ in deletions if not link.promotes})
    return [
        *(encodePromote(ifindex, True) for ifindex in indexes),
        *(message for _, message in reversed(deletions)),
        *(encodePromote(ifindex, False) for ifindex in indexes),
    ]


async def drop(
    name: str, netlink: INetlink, gone: Sequence[Placement], kept: Sequence[AddressSpec]
) -> None:
    """
    Remove what is C{gone} from a batch of which C{kept} stays.

    @raise ResourceError: when one is still there.
    """
    addresses = {spec.address for spec in kept}
    # An address that stays, with another prefix or on another interface, is deleted only where it was.
    moved = [(p.link, p.delete) for p in gone if p.spec.address in addresses]
    away = [p for p in gone if p.spec.address not in addresses]
    if moved:
        answers = await asked(name, netlink.request(deleting(moved)))
        around = (len(answers) - len(moved)) // 2
        refused = [n for n in answers[around : len(answers) - around] if n and n not in _GONE]
        if refused:
            raise ResourceError(f"{name}: cannot be deleted where it was: {explained(refused[0])}")
    if away:
        await Removal(name, netlink, [p.spec for p in away]).remove(away)


async def asked(name: str, answer: Deferred[_T]) -> _T:
    """Wait for netlink's C{answer}; L{ResourceError} about C{name} when there is none."""
    try:
        return await answer
    except OSError as error:
        raise ResourceError(f"{name}: the kernel cannot be asked: {error}") from error


async def uncancelled(work: Deferred[_T]) -> _T:
    """Wait for C{work} to its end, however often the waiting is cancelled."""
    while not work.called or isinstance(work.result, Deferred):
        waiting: Deferred[None] = Deferred()

        def done(result: _T, waiting: Deferred[None] = waiting) -> _T:
            if not waiting.called:
                waiting.callback(None)
            return result

        work.addBoth(done)
        try:
            await waiting
        except CancelledError:
            continue
    return await work


def explained(number: int | None) -> str:
    """Return the text of an errno, and what to do about it where that is known."""
    text = os.strerror(number or 0)
    if number == errno.EPERM:
        text += " (it takes root, or CAP_NET_ADMIN and CAP_NET_RAW)"
    elif number == errno.EACCES:
        text += " (IPv6 may be disabled there)"
    return text
