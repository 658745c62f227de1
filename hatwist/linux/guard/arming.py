"""What a guard is to be armed with for one group, and the bytes that tell it so."""

from __future__ import annotations

from twisted.internet.defer import Deferred

from hatwist.linux.guard import program
from hatwist.linux.guard.program import Clocks, message, string
from hatwist.linux.interfaces import Farewell


class Armed:
    """What is to be armed for a group, and who waits for it."""

    def __init__(
        self, term: int, deadline: float, deletions: list[bytes], farewells: list[Farewell]
    ) -> None:
        self.term = term
        self.deadline = deadline
        self.limits: Clocks = (0, 0)  # as the guard knows it
        self.deletions = deletions
        self.farewells = farewells
        self.confirmed = False
        self.waiting: list[Deferred[None]] = []

    def encode(self, name: bytes, written: Clocks) -> bytes:
        fields = [string(name, 1), encoded(written), encoded(self.limits)]
        fields += [self.term.to_bytes(8, "big"), len(self.deletions).to_bytes(4, "big")]
        fields += [string(deletion, 4) for deletion in self.deletions]
        fields.append(len(self.farewells).to_bytes(2, "big"))
        for index, address, port, datagram in self.farewells:
            fields += [index.to_bytes(4, "big"), port.to_bytes(2, "big")]
            fields += [string(address.packed, 1), string(datagram, 4)]
        return message(program.ARM, *fields)


def encoded(times: Clocks) -> bytes:
    """As each message has them."""
    return b"".join(each.to_bytes(8, "big") for each in times)
