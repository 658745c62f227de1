"""Other settings for a node that runs: what stays the same is not touched."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import replace
from typing import Any

from twisted.internet.defer import Deferred, DeferredLock
from zope.interface import implementer

from hatwist.core.claims import Role
from hatwist.core.effects import RoleChange
from hatwist.core.errors import ConfigurationError, ResourceError
from hatwist.core.limits import LIMIT
from hatwist.linux.interfaces import INetlink
from hatwist.runtime.interfaces import IRoleObserver
from hatwist.service.nodeparts import NodeParts
from hatwist.settings import Settings
from hatwist.settings.changes import changes
from hatwist.settings.host import misplaced


@implementer(IRoleObserver)
class Reloading:
    """Changes the parts of a node, one reload at a time. It observes the node: a group that goes is let go of first."""

    def __init__(self, reactor: Any, parts: NodeParts, netlink: INetlink) -> None:
        self._reactor = reactor
        self._netlink = netlink
        self._parts = parts
        self._one = DeferredLock()
        self._departures: dict[str, Deferred[None]] = {}

    def reload(self, settings: Settings) -> Deferred[tuple[str, ...]]:
        """See L{hatwist.service.service.HAService.reload}."""
        return self._one.run(lambda: Deferred.fromCoroutine(self._reload(settings)))

    def preview(self, settings: Settings) -> Deferred[tuple[str, ...]]:
        """See L{hatwist.service.service.HAService.preview}."""
        return self._one.run(lambda: Deferred.fromCoroutine(self._preview(settings)))

    async def _preview(self, settings: Settings) -> tuple[str, ...]:
        old = self._parts.settings
        found = changes(old, settings)
        problems = list(found.problems)
        if found.lines and self._parts.node is not None:
            problems += await self.misplaced(settings, known=old)
        node = self._parts.node  # it may have been stopped meanwhile
        if node is None:
            raise ConfigurationError([*problems, "the service does not run"])
        before = {group.name for group in old.groups}
        for name in (group.name for group in settings.groups):
            if name not in before and name in node.keepers:
                problems.append(f"group {name}: still being released, try again")
        problems += self._parts.refusals(settings)
        if problems:
            raise ConfigurationError(problems)
        return found.lines

    async def misplaced(self, settings: Settings, known: Settings | None = None) -> list[str]:
        """What could not be acquired here now, see L{misplaced}: a standby would notice only when it is needed."""
        if not any(settings.addresses):
            return []
        try:
            links, routes = await self._netlink.dumpLinks(), await self._netlink.dumpRoutes()
        except OSError:  # the acquisition will tell
            return []
        return list(misplaced(settings, links, routes, known))

    async def _reload(self, settings: Settings) -> tuple[str, ...]:
        lines = await self._preview(settings)
        if not lines:
            return ()
        parts, groups = self._parts, self._parts.groups
        node, old = parts.node, parts.settings
        assert node is not None
        try:
            parts.raw.want(group for group in settings.groups if not group.native)
        except OSError as e:
            raise ConfigurationError([f"raw sockets: {e.strerror}"]) from None
        before, new = {g.name: g for g in old.groups}, {g.name: g for g in settings.groups}
        parts.settings, spoke = settings, parts.saysFarewell
        if settings.keys != old.keys:
            parts.signAnew()
        going = {name: self._departure(name) for name in before if name not in new}
        staying = {n: groups[n].become(settings, g) for n, g in new.items() if n in before}
        coming = [parts.compose(group) for name, group in new.items() if name not in before]
        for each in coming:
            groups[each.group.name] = each
        parts.change(coming)
        for each in coming:
            each.start(node)
        failed: list[str] = []

        async def attempt(name: str, work: Awaitable[None]) -> None:
            try:
                await work
            except ResourceError as e:
                failed.append(f"group {name}: {e}")

        for name, exchange in staying.items():
            await attempt(name, groups[name].follow(exchange, node.keepers[name]))
            # The guard says goodbye with the key that all accept, and as the router that it is now.
            if settings.keys != old.keys or (new[name] != before[name] and not new[name].native):
                await attempt(name, parts.rearm(node, name))
        for name, gone in going.items():
            await attempt(name, gone)
        # What was refused is as before; how long a release takes follows from the resources.
        parts.settings = replace(settings, groups=tuple(groups[name].group for name in new))
        if parts.node is node:
            parts.change()
            if spoke != parts.saysFarewell:
                for name in staying:
                    await attempt(name, parts.rearm(node, name))
            parts.raw.keep(parts.groups)
        if failed:
            raise ResourceError("; ".join(failed))
        return lines

    def _departure(self, name: str) -> Deferred[None]:
        """
        Fires when a group that goes is let go of, and its resources are closed.

        Fails after a while with L{ResourceError}; the group goes all the same, once it is released.
        """
        gone = self._departures[name] = Deferred()
        known: Deferred[None] = Deferred()
        Deferred.fromCoroutine(self._departed(name, gone)).addBoth(known.callback)
        return known.addTimeout(LIMIT, self._reactor, self._stuck)

    async def _departed(self, name: str, gone: Deferred[None]) -> None:
        await gone
        group = self._parts.groups.pop(name)
        await group.stop()
        group.close()

    @staticmethod
    def _stuck(_: object, seconds: float) -> None:
        raise ResourceError(f"still not released after {seconds:g} s; see the log")

    def roleChanged(self, change: RoleChange) -> None:
        """See L{IRoleObserver}: which group that goes is gone?"""
        if change.new is Role.SHUTDOWN and change.group in self._departures:
            self._departures.pop(change.group).callback(None)
