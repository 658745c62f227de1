"""
What systemd is told of a daemon that it runs: ready, reloading, stopping, the roles, and that heartbeats go out.

One datagram each, by sd_notify(3): lines of C{NAME=VALUE} to the socket that NOTIFY_SOCKET names. A manager that
does not listen is a warning in the log, and changes nothing else.
"""

from __future__ import annotations

import os
import socket
import time
from collections import deque
from collections.abc import Callable, MutableMapping
from typing import Any

from twisted.application.service import Service
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from zope.interface import implementer

from hatwist.core.effects import RoleChange
from hatwist.runtime.interfaces import IRoleObserver
from hatwist.service.service import HAService

VARIABLES = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")
"""Meant for the daemon alone: no program that it starts may speak for it."""
LOOK = 0.05
"""Seconds between two looks whether the first heartbeat was sent."""
AGAIN = 0.5
"""Seconds after which a datagram that had no room is sent again."""
WAITING = 16
"""Datagrams that may wait for room; then the oldest is dropped."""
MEALS = 4
"""How often in its time the watchdog is fed, if heartbeats go out so often."""


class NotifySocket:
    """
    The socket of the service manager. Nothing here raises.

    @param where: a path, or C{@} and an abstract name; C{""}: there is no manager, and nothing is done.
    """

    _log = Logger()

    def __init__(self, reactor: Any, where: str) -> None:
        self._reactor = reactor
        self._where = "\0" + where[1:] if where.startswith("@") else where
        self._socket: socket.socket | None = None
        self._waiting: deque[bytes] = deque(maxlen=WAITING)
        self._call: IDelayedCall | None = None
        self._failing = False

    def open(self) -> None:
        """Be ready to send."""
        if not self._where:
            return
        if self._where[0] not in "/\0":
            self._failed(f"{self._where} is neither a path nor an abstract name")
            return
        kind = socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
        try:
            self._socket = socket.socket(socket.AF_UNIX, kind)
        except OSError as e:
            self._failed(str(e))

    def tell(self, *lines: str) -> None:
        """Send these lines as one datagram, now, or after those that wait for room."""
        if self._socket is not None:
            self._waiting.append("\n".join(lines).encode("utf-8", "replace"))
            self._flush()

    def feed(self) -> None:
        """Feed the watchdog; when there is no room the next time will do."""
        if not self._waiting:
            self._send(b"WATCHDOG=1")

    def close(self) -> None:
        if self._call is not None:
            self._call.cancel()
            self._call = None
        self._waiting.clear()
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _flush(self) -> None:
        while self._waiting and self._send(self._waiting[0]):
            self._waiting.popleft()
        if self._waiting and self._call is None:
            self._call = self._reactor.callLater(AGAIN, self._again)

    def _again(self) -> None:
        self._call = None
        self._flush()

    def _send(self, datagram: bytes) -> bool:
        """C{False}: there is no room at present."""
        if self._socket is None:
            return True
        try:
            self._socket.sendto(datagram, self._where)
        except BlockingIOError:
            return False
        except OSError as e:
            self._failed(str(e))
        else:
            self._failing = False
        return True

    def _failed(self, reason: str) -> None:
        if not self._failing:
            self._failing = True
            self._log.warn("The service manager cannot be told anything: {reason}", reason=reason)


@implementer(IRoleObserver)
class Notifier(Service):
    """
    Tells the service manager about C{service}, as a child of it. Without a manager it does nothing.

    READY=1 is sent when all has started and the first heartbeat is sent. The watchdog is fed while
    heartbeats are sent; not when the reactor hangs, nor when a fault keeps it from sending them. A network
    that takes no packets is no such fault: a new process could not send either. A node that yields to
    another one of its name sends none, and is fed, since its restart would displace that one.

    @param environment: the variables of L{VARIABLES} are taken out of it.
    @param nanoseconds: CLOCK_MONOTONIC.
    """

    name = "notifier"
    _log = Logger()

    def __init__(
        self,
        service: HAService,
        reactor: Any,
        environment: MutableMapping[str, str] = os.environ,
        nanoseconds: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        where, watchdog, pid = (environment.pop(name, "") for name in VARIABLES)
        self._service = service
        self._reactor = reactor
        self._nanoseconds = nanoseconds
        self._systemd = NotifySocket(reactor, where)
        self._pid = pid
        self._watchdog = int(watchdog) / 1e6 if watchdog.isdecimal() else 0.0
        self._roles: dict[str, str] = {}
        self._ready = False
        self._sent = 0
        self._call: IDelayedCall | None = None
        self._trigger: Any = None
        service.addObserver(self)

    def startService(self) -> None:
        """Begin to tell; READY=1 comes with the first heartbeat."""
        super().startService()
        self._ready, self._sent = False, 0
        self._systemd.open()
        self._systemd.tell("STATUS=Starting: what an earlier run may have left is released")
        if self._pid not in ("", str(os.getpid())):
            self._watchdog = 0.0  # meant for another process
        least = 3 * self._service.settings.interval
        if 0 < self._watchdog < least:
            self._log.warn(
                "WatchdogSec is less than three intervals: {watchdog} s are taken for it",
                watchdog=least,
            )
            self._watchdog = least
            self._systemd.tell(f"WATCHDOG_USEC={round(least * 1e6)}")
        # Ours comes before the program's own, in which services are stopped.
        self._trigger = self._reactor.addSystemEventTrigger("before", "shutdown", self._stopping)
        self._call = self._reactor.callLater(0, self._look)

    def stopService(self) -> None:
        """Tell nothing more."""
        super().stopService()
        if self._call is not None:
            self._call.cancel()
            self._call = None
        if self._trigger is not None:
            self._reactor.removeSystemEventTrigger(self._trigger)
            self._trigger = None
        self._systemd.close()

    def roleChanged(self, change: RoleChange) -> None:
        """See L{IRoleObserver.roleChanged}: the roles are the status that systemctl shows."""
        role = f"{change.group}: {change.new.name}, term {change.term}: {change.reason}"
        self._roles[change.group] = " ".join(role.split())
        if self._ready:
            self._systemd.tell(self._status())

    def reloading(self) -> None:
        """The configuration is about to be read anew; L{reloaded} must follow, however that ends."""
        self._systemd.tell("RELOADING=1", f"MONOTONIC_USEC={self._nanoseconds() // 1000}")

    def reloaded(self) -> None:
        """The configuration is what it is now to be; groups may have gone."""
        there = self._service.groups
        self._roles = {name: role for name, role in self._roles.items() if name in there}
        self._systemd.tell("READY=1", self._status())

    def _status(self) -> str:
        return f"STATUS={'; '.join(self._roles.values()) or 'Started'}"

    def _look(self) -> None:
        figures = self._service.figures()
        alive = False
        if figures is not None:
            sent, self._sent = self._sent, figures.sent
            alive = self._sent != sent or figures.silent
        if alive and not self._ready:
            self._ready = True
            self._systemd.tell("READY=1", self._status())
        if alive and self._watchdog:
            self._systemd.feed()
        step = self._watchdog / MEALS if self._ready else LOOK
        self._call = self._reactor.callLater(step, self._look) if step else None

    def _stopping(self) -> None:
        self._trigger = None
        self._systemd.tell("STOPPING=1")
