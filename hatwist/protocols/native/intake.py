"""Which packets count: those that were not seen before, of a node for which there is room."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from hatwist.core.counting import follow
from hatwist.core.errors import BadPacket
from hatwist.protocols.native.auth import ReplayWindow
from hatwist.protocols.native.datagram import Datagram, GroupRecord, GroupState, Header
from hatwist.protocols.native.identity import Identity
from hatwist.protocols.native.membership import MAX_PEERS, Membership


class Codec(Protocol):
    """Makes bytes of datagrams, and datagrams of bytes; see L{hatwist.protocols.native.auth.Keyring}."""

    def seal(self, datagram: Datagram) -> bytes:
        """The bytes of a datagram."""
        ...

    def open(self, raw: bytes, cluster: bytes | None = None) -> Datagram:
        """
        The datagram in these bytes.

        @param cluster: drop what is of another cluster.
        @raise BadPacket: it is none, or not to be believed.
        """
        ...


class Intake:
    """
    @param cluster: eight bytes, see L{clusterId<hatwist.protocols.native.datagram.clusterId>}.
    @param name: of this node.
    @param view: what is known of the others.
    """

    def __init__(self, cluster: bytes, name: str, view: Membership, identity: Identity) -> None:
        self.cluster = cluster
        self._name = name
        self._view = view
        self._identity = identity
        self._window = ReplayWindow()

    def accept(self, header: Header, link: str, now: float) -> bool:
        """
        Does a packet count? Nothing but that it came is noted. The result is whether it is the newest on its link.

        @raise BadPacket: it does not.
        """
        name, peers = header.name, self._view.peers
        if name == self._name:
            self._identity.check(header)
            if not self._window.accept(header, ""):
                raise BadPacket("replayed")
            self._identity.meet(header, now)
            raise BadPacket(
                "same-name", "another host runs a node of this name; --node must differ"
            )
        if name not in peers and len(peers) >= MAX_PEERS:
            raise BadPacket("crowded", f"{MAX_PEERS} nodes are known already")
        if name in peers:
            session = peers[name].session
            if header.session > follow(session, header.session):
                raise BadPacket("malformed", f"session {header.session} after {session}")
        try:
            return self._window.accept(header, link)
        except BadPacket:
            if name not in peers:
                self._view.recall(name, *self._window.newest(name), now)
            raise


class Statement(NamedTuple):
    """
    What a packet said of its sender, for the flight recorder. What it said of third nodes is not kept.

    @ivar version: of its state; 0: it says goodbye.
    @ivar records: those of its groups that were told.
    """

    name: str
    session: int
    seq: int
    link: str
    version: int
    records: tuple[GroupRecord, ...]

    @classmethod
    def of(cls, datagram: Datagram, link: str) -> Statement:
        header, _, _, ranges = datagram
        version = 0 if header.leaving else header.version
        records: tuple[GroupRecord, ...] = ()
        if ranges:
            own = [told.records for told in ranges if told.owner == header.name]
            records = tuple([record for each in own for record in each])
        return cls(header.name, header.session, header.seq, link, version, records)

    def __str__(self) -> str:
        told = ", ".join([_state(record.name, record.state) for record in self.records])
        said = f"version {self.version}" if self.version else "nothing held"
        words = f"{self.name} {self.session}.{self.seq} on {self.link}: {said}"
        return f"{words}; {told}" if told else words


def _state(name: str, state: GroupState | None) -> str:
    if state is None:
        return f"{name} removed"
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
