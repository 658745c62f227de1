"""The resources of a group in exchange for others, while it runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from twisted.internet.defer import Deferred

from hatwist.core.errors import ResourceError
from hatwist.resources.addresses.batch import Addresses
from hatwist.resources.addresses.batchspec import AddressBatch
from hatwist.resources.addresses.spec import AddressSpec
from hatwist.resources.interfaces import ICloseable
from hatwist.resources.spec import ResourcePart
from hatwist.runtime.keeper import Keeper
from hatwist.settings import GroupSettings

Made = tuple[ResourcePart, Any]
"""A part of a group, and the resource that was made of it."""


class GroupExchange:
    """
    What stays, what changes in place, what is new, and what goes.

    A batch of addresses that has some in common with a wanted one becomes that, so that those addresses stay.

    @param before: the resources of the old settings.
    @param wanted: the parts of the new ones.
    @param make: makes the resource of a part.
    @ivar old: the settings that they come from.
    @ivar after: the resources of the new settings.
    """

    def __init__(
        self,
        old: GroupSettings,
        before: Sequence[Made],
        wanted: Sequence[ResourcePart],
        make: Callable[[ResourcePart], Any],
    ) -> None:
        self.old = old
        self.before = tuple(before)
        self._changes: list[tuple[Addresses, AddressBatch]] = []
        have = dict(before)
        free = {
            batch: resource
            for batch, resource in before
            if isinstance(batch, AddressBatch) and batch not in wanted
        }
        after: list[Made] = []
        for part in wanted:
            resource = have.get(part)
            if resource is None and isinstance(part, AddressBatch):
                near = max(free, key=part.common, default=None)
                if near is not None and part.common(near):
                    resource = free.pop(near)
                    self._changes.append((resource, part))
            after.append((part, make(part) if resource is None else resource))
        self.after = tuple(after)

    async def run(
        self,
        keeper: Keeper,
        resources: Sequence[Any],
        refused: Callable[[], None],
        forget: Callable[[Any], Deferred[None]],
    ) -> None:
        """
        Make it so. Fires when it is done.

        @param resources: all that the keeper is to keep then, these and others.
        @param refused: called at once when a new address is refused: everything goes back to what it was.
        @param forget: tells the guard that nothing is left of a resource.
        @raise ResourceError: a new address was refused; or a new resource could not be acquired, or an old one not
            released, which is to be tried again.
        """
        done: list[tuple[Addresses, tuple[AddressSpec, ...]]] = []
        try:
            for batch, wanted in self._changes:
                had = batch.specs
                await self._change(keeper, batch, wanted.specs)
                done.append((batch, had))
        except ResourceError:
            refused()
            for batch, had in done:
                await self._change(keeper, batch, had)
            raise
        await keeper.replace(resources)
        for resource in self._gone():
            if ICloseable.providedBy(resource):
                resource.close()
                await forget(resource)

    @staticmethod
    def _change(keeper: Keeper, batch: Addresses, specs: Sequence[AddressSpec]) -> Deferred[None]:
        return keeper.perform(lambda: batch.change(specs))

    def _gone(self) -> Iterable[Any]:
        stay = [resource for _, resource in self.after]
        return (resource for _, resource in self.before if resource not in stay)
