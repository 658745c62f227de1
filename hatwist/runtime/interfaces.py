"""What the runtime tells an observer."""

from __future__ import annotations

from zope.interface import Interface

from hatwist.core.effects import Event, RoleChange


class IRoleObserver(Interface):
    """Told of every role change of a group, in order."""

    def roleChanged(change: RoleChange) -> None:
        """
        C{change} has cluster, group, old and new role, term and reason. An exception raised
        here is logged and changes nothing.
        """


class IEventObserver(IRoleObserver):
    """Told of every event that is no role change, too, in order."""

    def noted(event: Event) -> None:
        """
        C{event} has kind, group (or C{""}: it concerns the node), peer and reason. An exception
        raised here is logged and changes nothing.
        """
