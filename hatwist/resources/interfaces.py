"""What the runtime asks of a resource."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from zope.interface import Attribute, Interface

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred


class IResource(Interface):
    """Something that one node of a cluster holds while it is ACTIVE.

    Every Deferred may be cancelled; a cancelled operation stops what it began (a process is killed) and
    fails with CancelledError once that is so, unless it could be completed at once. The caller never
    runs two operations of one resource at a time, except that what has a lease is renewed at any time.
    Every failure is a L{hatwist.core.errors.ResourceError} that says what to change.

    It may have C{acquireTime} and C{releaseTime}, the seconds that it gives each, or C{timeout} for both; else
    L{hatwist.runtime.keeper.LIMIT} counts. What takes longer is cancelled. With C{stopTime}, seconds, the end of the
    process waits so much longer for its release.

    What else is true of some, and false of those that do not say so: C{guarded}, the guard releases it where the
    daemon dies; C{ephemeral}, it ends with the daemon. And of most, and true of those that do not say so: C{checked},
    L{verify} asks, and does not only repeat what was last done. C{managed} is the name of an interface that is up
    only while it is held.
    """

    name = Attribute("str: what logs and errors call it, such as '192.168.1.100/24 on eth0'.")

    def acquire() -> Deferred[None]:
        """Bring it up. Fires once the kernel (or the program) has confirmed it. Acquiring what is held succeeds."""

    def release() -> Deferred[None]:
        """Let go. Fires once it is proven gone, whoever had left it. Releasing what is not held succeeds."""

    def verify() -> Deferred[bool]:
        """Ask the kernel (or the program) anew: is it held here?"""

    def watch(lost: Callable[[str], None]) -> None:
        """Call C{lost(reason)} when it was held, went away, and could not be restored."""


class IAnnouncer(Interface):
    """A resource that tells the LAN where it is."""

    def announce() -> None:
        """Announce now, and again by the schedule, if it is held; else do nothing."""


class ICloseable(Interface):
    """A resource that has sockets open."""

    def close() -> None:
        """Give them back, once it is released."""


class ILeased(Interface):
    """A resource that the kernel takes away by itself unless it is renewed."""

    def renew(seconds: int) -> Deferred[None]:
        """Keep it for so many whole seconds from now, if it is held. Never fails."""


class IFenced(Interface):
    """A resource that passes on for which claim it is held, so that what acts late can be refused."""

    term = Attribute("int: the fencing token of the claim, set before C{acquire}; 0: none yet.")
