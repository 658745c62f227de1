"""What is prepared before a group is acquired, as a resource."""

from __future__ import annotations

from twisted.internet.defer import succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hatwist.runtime.prepared import Prepared
from tests.contracts import ResourceContract


class ResourceTests(ResourceContract, SynchronousTestCase):
    """It is a resource like any other."""

    def makeResource(self) -> Prepared:
        return Prepared(Clock(), "g", lambda term: succeed(None), lambda: None)
