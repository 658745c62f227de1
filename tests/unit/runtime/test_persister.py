"""Tests for L{hatwist.runtime.persister}: what could not be written is written later, and then forgotten."""

from __future__ import annotations

import errno
import gc
from weakref import WeakSet

from twisted.internet.interfaces import IDelayedCall
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hatwist.core.claims import Grant, Record
from hatwist.runtime.persister import RETRY, Persister
from hatwist.runtime.store import MemoryStore


class PersisterTests(SynchronousTestCase):
    """What could not be written is written later, but never over what came after it."""

    def test_newerStays(self) -> None:
        """Once a newer record is on disk the older one is not written again."""
        clock, store = Clock(), MemoryStore()
        told: list[Record] = []
        persister = Persister(
            clock, lambda: 1, store, lambda records: told.extend(records.values())
        )
        older, newer = (Record(16, Grant("alpha", 1, 3)), Record(32, Grant("beta", 1, 20)))
        store.failure = OSError(errno.ENOSPC, "No space left on device")
        persister.persist("g", older)
        persister.flush()
        store.failure = None
        persister.persist("g", newer)
        persister.flush()
        clock.advance(RETRY)
        self.assertEqual((store.records, told), ({"g": newer}, [newer]))

    def test_again(self) -> None:
        """One that is still the newest is."""
        clock, store = Clock(), MemoryStore()
        told: list[Record] = []
        persister = Persister(
            clock, lambda: 1, store, lambda records: told.extend(records.values())
        )
        store.failure = OSError(errno.ENOSPC, "No space left on device")
        persister.persist("g", Record(16))
        persister.flush()
        store.failure = None
        clock.advance(RETRY)
        self.assertEqual((store.records, told), ({"g": Record(16)}, [Record(16)]))

    def test_forgotten(self) -> None:
        """A write that is done leaves nothing behind, however many there are."""
        clock, store = Clock(), MemoryStore()
        persister = Persister(clock, lambda: 1, store, lambda records: None)
        timers: WeakSet[IDelayedCall] = WeakSet()
        for number in range(100):
            store.hangs = True
            persister.persist("g", Record(number))
            persister.flush()
            timers.update(clock.getDelayedCalls())
            store.goOn()
        gc.collect()
        self.assertLess(len(timers), 3)
