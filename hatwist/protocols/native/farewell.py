"""The goodbye that a guard says in its node's place, made beforehand."""

from __future__ import annotations

from collections.abc import Iterable

from hatwist.core.packet import Outgoing
from hatwist.protocols.native.datagram import Datagram
from hatwist.protocols.native.intake import Codec
from hatwist.protocols.native.outbox import Outbox
from hatwist.protocols.native.rules import GroupRules


class LastWords:
    """
    One for each session and key, the same for all claims: so the guard is told of it once.

    @ivar possible: the guard can let go of everything that this node may hold.
    """

    def __init__(self, outbox: Outbox) -> None:
        self.possible = True
        self._outbox = outbox
        self._made: tuple[Datagram, Codec, Outgoing] | None = None

    def serve(self, groups: Iterable[GroupRules]) -> None:
        """The node has these."""
        self.possible = all(group.guardable for group in groups)

    def sealed(self, codec: Codec) -> Outgoing:
        """The one of the present session, with this key."""
        datagram, made = self._outbox.farewell(), self._made
        if made is None or made[:2] != (datagram, codec):
            made = self._made = (datagram, codec, Outgoing(codec.seal(datagram)))
        return made[2]
