"""Addresses that follow each other in the configuration, which are held as one resource."""

from __future__ import annotations

from dataclasses import dataclass

from hatwist.resources.addresses.batch import Addresses
from hatwist.resources.addresses.spec import AddressSpec
from hatwist.resources.spec import World


@dataclass(frozen=True, slots=True)
class AddressBatch:
    """@ivar specs: the addresses, at least one."""

    specs: tuple[AddressSpec, ...]

    @property
    def shared(self) -> object:
        """In any order, and wherever each of them goes."""
        return sorted(f"{spec.address}/{spec.prefix}" for spec in self.specs)

    def common(self, other: AddressBatch) -> int:
        """How many addresses are in both."""
        return len({*self.specs} & {*other.specs})

    def make(self, world: World) -> Addresses:
        made = Addresses(
            world.reactor,
            world.netlink,
            self.specs,
            world.openSender,
            arm=lambda: world.arm(made, made.deletions()),
            look=world.look,
            until=world.until,
            busy=world.busy,
        )
        return made
