"""Role changes for the history, of a protocol by which only masters are heard: those of this node, and theirs."""

from __future__ import annotations

from hatwist.core.effects import SILENT, Change, RoleChange

GAVE_WAY = "gave way, or resigned"


class Annals:
    """
    @param node: the name of this node.
    @ivar masters: who else is master of each group, by name, as far as was heard.
    """

    def __init__(self, node: str) -> None:
        self.masters: dict[str, str] = {}
        self._node = node

    def own(self, change: RoleChange, now: float) -> Change:
        """This node has another role."""
        old = change.old.name if change.old is not None else ""
        new, term, reason = change.new.name, change.term, change.reason
        return Change(now, self._node, change.group, old, new, term, reason)

    def hears(self, group: str, master: str, reason: str, now: float) -> list[Change]:
        """Another node is master."""
        if self.masters.get(group) == master:
            return []
        found = self.ended(group, GAVE_WAY, now)
        self.masters[group] = master
        return [*found, Change(now, master, group, "", "ACTIVE", 0, reason)]

    def differs(self, group: str, name: str, master: bool) -> bool:
        """There is something to tell, after a word of this node: whether it is the master, or nobody is."""
        known = self.masters.get(group)
        return known != name if master else known is not None

    def ended(self, group: str, reason: str, now: float, silent: bool = False) -> list[Change]:
        """It is master no more."""
        master = self.masters.pop(group, None)
        if master is None:
            return []
        return [Change(now, master, group, "ACTIVE", SILENT if silent else "STANDBY", 0, reason)]
