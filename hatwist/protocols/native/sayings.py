"""What is to be said of each group, and what others have been told already."""

from __future__ import annotations

from hatwist.protocols.native.heartbeat import GroupState


class Sayings:
    """
    @ivar unsaid: the groups of which others are to hear at once.
    """

    def __init__(self) -> None:
        self.unsaid: set[str] = set()
        self._next: dict[str, GroupState] = {}
        self._said: dict[str, GroupState] = {}
        self._packed: tuple[GroupState, ...] | None = None

    def tell(self, told: GroupState) -> None:
        """What is to be said of a group from now on."""
        name = told.name
        self._next[name], self._packed = told, None
        if name not in self._said or _differs(self._said[name], told):
            self.unsaid.add(name)
        else:
            self.unsaid.discard(name)

    def forget(self, group: str) -> None:
        """Nothing is to be said of it any more."""
        self._next.pop(group, None)
        self._packed = None
        self.unsaid.add(group)

    def say(self) -> tuple[GroupState, ...]:
        """All of it: it is said now."""
        if self._packed is None:
            self._said = dict(self._next)
            self._packed = tuple(self._said.values())
            self.unsaid.clear()
        return self._packed


def _differs(old: GroupState, new: GroupState) -> bool:
    """Others are to hear of it at once; of the rest with the next packet."""
    return (
        old.role != new.role
        or old.eligible != new.eligible
        or old.claim != new.claim
        or old.fitness != new.fitness
        or old.listening != new.listening
        or old.witnessed != new.witnessed
        or old.grant != new.grant
        or (new.request is not None and old.request != new.request)
        or (new.released is not None and old.released != new.released)
    )
