"""What is to be said of each group: written into the journal at once, or with the next packet."""

from __future__ import annotations

from hatwist.protocols.native.datagram import GroupState
from hatwist.protocols.native.state.journal import toldOf
from hatwist.protocols.native.state.knowledge import Knowledge


class Sayings:
    """@param knowledge: has the journal."""

    def __init__(self, knowledge: Knowledge) -> None:
        self._knowledge = knowledge
        self._waiting: dict[str, GroupState] = {}

    def tell(self, told: GroupState) -> None:
        """This is to be said of a group from now on; others hear at once of what may concern them."""
        name, journal = told.name, self._knowledge.journal
        record = journal.records.get(name)
        self._waiting.pop(name, None)
        if record is None or record.state is None or _differs(record.state, toldOf(told)):
            journal.put(told)
        else:
            self._waiting[name] = told

    def forget(self, group: str) -> None:
        """This node does not have it any more."""
        self._waiting.pop(group, None)
        self._knowledge.journal.remove(group)

    def say(self) -> None:
        """A packet leaves: it says the rest, too."""
        for told in self._waiting.values():
            self._knowledge.journal.put(told)
        self._waiting.clear()

    def renew(self, session: int, now: float) -> None:
        """A new session says the same."""
        self.say()
        states = [record.state for record in self._knowledge.journal.records]
        self._knowledge.renew(session, now)
        for state in states:
            if state is not None:
                self._knowledge.journal.put(state)


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
