"""
Everything that a program imports from hatwist; docs/embedding.rst tells how the names go together.

All other modules may change from one version to the next. Importing this one installs no reactor.
"""

from hatwist.checks.check import CheckSpec
from hatwist.checks.inside import CallCheck
from hatwist.core.claims import Role
from hatwist.core.effects import Event, RoleChange
from hatwist.core.electorate import Quorum
from hatwist.core.errors import ConfigurationError, Refused, ResourceError
from hatwist.core.guarantee import Guarantee, Level
from hatwist.core.worth import Fitness
from hatwist.frontends.composition import makeService
from hatwist.protocols.native.guarantee import guarantee
from hatwist.protocols.native.rules import Timing
from hatwist.resources.command import Command
from hatwist.resources.interface import Interface
from hatwist.resources.interfaces import IAnnouncer, ICloseable, IFenced, ILeased, IResource
from hatwist.resources.listener import Listener
from hatwist.resources.memory import MemoryResource
from hatwist.runtime.interfaces import IEventObserver, IRoleObserver
from hatwist.runtime.lock import Taken
from hatwist.service.cluster import Cluster
from hatwist.service.fake import FakeHAService
from hatwist.service.orders import Done, Moved
from hatwist.service.service import HAService
from hatwist.service.terms import Term
from hatwist.settings import Settings, load, settings
from hatwist.testing import Simulation

__all__ = [  # noqa: RUF022 by subject
    # One node as a Twisted service, and by what it runs.
    "ConfigurationError",
    "HAService",
    "Settings",
    "Taken",
    "load",
    "makeService",
    "settings",
    # What is told: of roles and events, and how sure it is that no two nodes hold.
    "Event",
    "Guarantee",
    "IEventObserver",
    "IRoleObserver",
    "Level",
    "Role",
    "RoleChange",
    "Term",
    # What is ordered.
    "Done",
    "Moved",
    "Refused",
    # What is held besides addresses.
    "Command",
    "IAnnouncer",
    "ICloseable",
    "IFenced",
    "ILeased",
    "IResource",
    "Interface",
    "Listener",
    "ResourceError",
    # Whether this node is fit to hold.
    "CallCheck",
    "CheckSpec",
    "Fitness",
    # Tests, and the arithmetic of docs/fencing.rst.
    "Cluster",
    "FakeHAService",
    "MemoryResource",
    "Quorum",
    "Simulation",
    "Timing",
    "guarantee",
]
