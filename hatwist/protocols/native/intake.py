"""Which heartbeats count: those that say something new, of a node for which there is room."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from hatwist.core.counting import follow
from hatwist.core.errors import BadPacket
from hatwist.protocols.native.auth import ReplayWindow
from hatwist.protocols.native.heartbeat import GroupState, Heartbeat
from hatwist.protocols.native.identity import Identity
from hatwist.protocols.native.membership import MAX_PEERS, Membership


class Codec(Protocol):
    """Makes datagrams of heartbeats, and heartbeats of datagrams; see L{hatwist.protocols.native.auth.Keyring}."""

    def seal(self, heartbeat: Heartbeat) -> bytes:
        """The datagram of a heartbeat."""
        ...

    def open(self, datagram: bytes, cluster: bytes | None = None) -> Heartbeat:
        """
        The heartbeat of a datagram.

        @param cluster: drop what is of another cluster.
        @raise BadPacket: it is none, or not to be believed.
        """
        ...


class Intake:
    """
    @param cluster: eight bytes, see L{clusterId<hatwist.protocols.native.heartbeat.clusterId>}.
    @param name: of this node.
    @param view: what is known of the others.
    """

    def __init__(self, cluster: bytes, name: str, view: Membership, identity: Identity) -> None:
        self.cluster = cluster
        self._name = name
        self._view = view
        self._identity = identity
        self._window = ReplayWindow()

    def accept(self, beat: Heartbeat, link: str, now: float) -> None:
        """
        Does it count? Nothing but that it came is noted.

        @raise BadPacket: it does not.
        """
        name, peers = beat.name, self._view.peers
        if name == self._name:
            self._identity.check(beat)
            self._window.accept(beat, "")
            self._identity.meet(beat, now)
            raise BadPacket(
                "same-name", "another host runs a node of this name; --node must differ"
            )
        if name not in peers and len(peers) >= MAX_PEERS:
            raise BadPacket("crowded", f"{MAX_PEERS} nodes are known already")
        if name in peers:
            session = peers[name].session
            if beat.session > follow(session, beat.session):
                raise BadPacket("malformed", f"session {beat.session} after {session}")
        try:
            self._window.accept(beat, link)
        except BadPacket:
            if name not in peers:
                self._view.recall(name, *self._window.newest(name), now)
            raise


class Statement(NamedTuple):
    """What a heartbeat said of its sender, for the flight recorder. What it said of third nodes is not kept."""

    name: str
    session: int
    seq: int
    link: str
    groups: tuple[GroupState, ...]

    def __str__(self) -> str:
        states = ", ".join(map(_state, self.groups))
        return f"{self.name} {self.session}.{self.seq} on {self.link}: {states}"


def _state(state: GroupState) -> str:
    words = [state.name, state.role.name, f"{state.fitness.name.lower()} {state.priority}"]
    if state.claim is not None:
        words.append(f"term {state.claim.term}")
    if state.steps:
        words.append(f"step {state.step} of {state.steps}")
    if state.released is not None:
        words.append(f"released {state.released.term} to {state.released.successor or '-'}")
    if state.grant is not None:
        words.append(f"votes for {state.grant.name} {state.grant.term}")
    flags = {
        "eligible": state.eligible,
        "listening": state.listening,
        "releasing": state.lettingGo,
    }
    return " ".join(words + [name for name, true in flags.items() if true])
