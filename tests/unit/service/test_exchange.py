"""Tests for L{hatwist.service.exchange}: what stays, changes, comes and goes, in which order; and the way back."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from hatwist.core.errors import ResourceError
from hatwist.resources.addresses.batchspec import AddressBatch
from hatwist.resources.addresses.spec import AddressSpec
from hatwist.resources.interfaces import ICloseable
from hatwist.resources.kinds import ResourceSpec, parts
from hatwist.resources.spec import ResourcePart
from hatwist.resources.unit import UnitSpec
from hatwist.service.exchange import GroupExchange
from hatwist.settings import GroupSettings


def address(number: int) -> AddressSpec:
    return AddressSpec.parse(f"10.0.0.{number}/24")


ONE, TWO, THREE, FOUR = map(address, range(1, 5))
WEB, DB = UnitSpec("web"), UnitSpec("db")


class Single:
    """A resource of one spec, which has nothing open."""

    def __init__(self, part: Any) -> None:
        self.part = part

    def __repr__(self) -> str:
        return str(self.part)


@implementer(ICloseable)
class Batch:
    """Addresses that can be changed."""

    def __init__(self, part: AddressBatch, told: list[str], refuses: AddressSpec) -> None:
        self.specs = part.specs
        self._told = told
        self._refuses = refuses

    def change(self, specs: tuple[AddressSpec, ...]) -> Deferred[None]:
        self._told.append(f"change {self} to {_shown(specs)}")
        if self._refuses in specs:
            return fail(ResourceError("refused"))
        self.specs = specs
        return succeed(None)

    def close(self) -> None:
        self._told.append(f"close {self}")

    def __repr__(self) -> str:
        return _shown(self.specs)


def _shown(specs: tuple[AddressSpec, ...]) -> str:
    return "+".join(str(spec.address).rpartition(".")[2] for spec in specs)


class ExchangeTests(SynchronousTestCase):
    """A transcript of one exchange; addresses by their last number."""

    def setUp(self) -> None:
        self.told: list[str] = []

    def make(self, part: ResourcePart) -> Any:
        made: Any = Batch(part, self.told, FOUR) if isinstance(part, AddressBatch) else Single(part)
        self.told.append(f"make {made}")
        return made

    # What of a keeper and of a guard is used.

    def perform(self, operation: Any) -> Deferred[None]:
        done: Deferred[None] = operation()
        return done

    def replace(self, resources: list[Any]) -> Deferred[None]:
        self.told.append(f"keep {', '.join(map(str, resources))}")
        return succeed(None)

    def forget(self, resource: Any) -> Deferred[None]:
        self.told.append(f"forget {resource}")
        return succeed(None)

    def refused(self) -> None:
        self.told.append("refused")

    def exchange(
        self, before: tuple[ResourceSpec, ...], after: tuple[ResourceSpec, ...]
    ) -> GroupExchange:
        made = [(part, self.make(part)) for part in parts(before)]
        self.told.clear()
        old = GroupSettings(resources=before)
        return GroupExchange(old, made, [*parts(after)], self.make)

    def run_(self, exchange: GroupExchange) -> Deferred[None]:
        resources = [resource for _, resource in exchange.after]
        keeper: Any = self
        done = exchange.run(keeper, resources, self.refused, self.forget)
        return Deferred.fromCoroutine(done)

    def check(
        self, before: tuple[ResourceSpec, ...], after: tuple[ResourceSpec, ...], *told: str
    ) -> None:
        self.successResultOf(self.run_(self.exchange(before, after)))
        self.assertEqual(self.told, [*told])

    def test_stays(self) -> None:
        """What is in both is the same resource, in another order too."""
        self.check((WEB, ONE, DB), (DB, ONE, WEB), "keep unit db, 1, unit web")

    def test_changes(self) -> None:
        """A batch with an address in common is changed in place, before anything else happens."""
        expected = "make unit db", "change 1+2 to 2+3", "keep 2+3, unit db"
        self.check((ONE, TWO, WEB), (TWO, THREE, DB), *expected)

    def test_nearest(self) -> None:
        """Of several batches the one with the most in common is changed; the other is given back, and forgotten."""
        before = ONE, WEB, TWO, THREE
        expected = "change 2+3 to 1+2+3", "keep 1+2+3, unit web", "close 1", "forget 1"
        self.check(before, (ONE, TWO, THREE, WEB), *expected)

    def test_apart(self) -> None:
        """Nothing in common: a new batch, and the old one goes."""
        self.check((ONE,), (TWO,), "make 2", "keep 2", "close 1", "forget 1")

    def test_goes(self) -> None:
        """What has nothing open needs no closing."""
        self.check((ONE, WEB), (ONE,), "keep 1")

    def test_refused(self) -> None:
        """A new address is refused: its owner knows at once, and what was changed before is changed back."""
        before = ONE, WEB, TWO
        exchange = self.exchange(before, (ONE, THREE, WEB, TWO, FOUR))
        self.failureResultOf(self.run_(exchange), ResourceError)
        self.assertEqual(
            self.told, ["change 1 to 1+3", "change 2 to 2+4", "refused", "change 1+3 to 1"]
        )
        self.assertEqual([resource.specs for _, resource in exchange.before[::2]], [(ONE,), (TWO,)])

    def test_untouched(self) -> None:
        """A plan touches nothing."""
        self.exchange((ONE,), (ONE, TWO))
        self.assertEqual(self.told, [])
