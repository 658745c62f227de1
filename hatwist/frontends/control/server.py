"""
The daemon's side of the control socket.

Whoever asks must not keep heartbeats waiting. Questions of all connections are answered one at a time, one in a
turn of the reactor, and after each the socket rests for four times as long as that took; a connection is
read in small pieces, and not at all while it has enough unanswered questions or does not take its answers.
"""

from __future__ import annotations

import os
import socket
import stat
import struct
from collections import deque
from typing import Any

from twisted.application.service import Service
from twisted.internet import interfaces
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import UNIXServerEndpoint
from twisted.internet.protocol import Factory, connectionDone
from twisted.logger import Logger
from twisted.protocols import amp
from twisted.python.failure import Failure
from zope.interface import implementer

from hatwist.frontends.control import place
from hatwist.frontends.control.answers import ControlAnswers
from hatwist.frontends.control.levels import Threshold
from hatwist.service.service import HAService

CONNECTIONS = 16
"""At a time; one more ends the one that has been there longest."""
REST = 4.0
"""Times as long as an answer took."""
WAITING = 8
"""Questions of one connection that may wait."""
PIECE = 4096
"""Bytes read at a time."""
MAX_QUESTION = 1 << 16
"""Bytes of one question."""
MODE = 0o600
"""Of the socket."""
TELL = 10.0
"""Seconds between two lines about users who may not."""
_CREDENTIALS = struct.Struct("3i")  # struct ucred: pid, uid, gid


class Server(Factory):
    """Makes a L{Connection} for each client, and gives them their turns."""

    noisy = False
    _log = Logger()

    def __init__(self, service: HAService, reactor: Any, path: str = "") -> None:
        """
        @param path: of the socket, which is for its owner only, whatever became of its mode; C{""}: it has none.
        """
        self._service = service
        self._path = path
        self._strangers = 0
        self._tellAgain = 0.0
        self._threshold = Threshold()
        self._reactor = reactor
        self.connections: list[Connection] = []
        self._turn: Any = None
        self._serving = False
        self._restUntil = 0.0

    def buildProtocol(self, addr: Any) -> Any:
        return Connection(self, ControlAnswers(self._service, self._reactor, self._threshold))

    def joined(self, connection: Connection) -> None:
        self.connections.append(connection)
        if len(self.connections) > CONNECTIONS:
            self.connections[0].transport.abortConnection()

    def left(self, connection: Connection) -> None:
        if connection in self.connections:
            self.connections.remove(connection)

    def stranger(self, pid: int, uid: int) -> None:
        """Somebody who may not used it: tell, but not as often as he can, and see to it that he cannot again."""
        self._strangers += 1
        now = self._reactor.seconds()
        if now < self._tellAgain:
            return
        self._tellAgain = now + TELL
        self._log.warn(
            "The control socket was used by process {pid} of user {uid}, who may not ({count} times so far)",
            pid=pid,
            uid=uid,
            count=self._strangers,
        )
        try:
            mode = os.lstat(self._path).st_mode if self._path else 0
            if stat.S_ISSOCK(mode) and stat.S_IMODE(mode) != MODE:
                os.chmod(self._path, MODE)
                self._log.warn(
                    "{path} was open to others, and has mode 0600 again", path=self._path
                )
        except OSError as e:
            self._log.warn("{path}: {error}", path=self._path, error=e.strerror)

    def wake(self) -> None:
        """Somebody may have a question that can be answered."""
        if self._turn is None and not self._serving:
            wait = max(0.0, self._restUntil - self._reactor.seconds())
            self._turn = self._reactor.callLater(wait, self._serve)

    def _serve(self) -> None:
        self._turn = None
        for connection in self.connections:
            if connection.ready:
                # The next turn is another one's.
                self.connections.remove(connection)
                self.connections.append(connection)
                began = self._reactor.seconds()
                self._serving = True
                try:
                    connection.answerNext()
                finally:
                    self._serving = False
                now = self._reactor.seconds()
                self._restUntil = now + REST * (now - began)
                self.wake()
                return

    def close(self) -> None:
        """End every connection; the log is as it was."""
        self._threshold.remove()
        if self._turn is not None:
            self._turn.cancel()
            self._turn = None
        for connection in list(self.connections):
            connection.transport.abortConnection()


@implementer(interfaces.IPushProducer)
class Connection(amp.AMP):
    """One client, which is root or the user that this daemon runs as."""

    transport: Any

    def __init__(self, server: Server, answers: ControlAnswers) -> None:
        super().__init__(locator=answers)
        self._server = server
        self._questions: deque[Any] = deque()
        self._busy = False
        self._clogged = False
        self._paused = False
        self._size = 0

    def makeConnection(self, transport: Any) -> None:
        # AMP's own would put two lines into the log for every command; likewise connectionLost.
        amp.BinaryBoxProtocol.makeConnection(self, transport)

    def connectionMade(self) -> None:
        super().connectionMade()
        pid, uid, _ = peerCredentials(self.transport.socket)
        if uid not in (0, os.geteuid()):
            self._server.stranger(pid, uid)
            self.transport.abortConnection()
            return
        self.transport.bufferSize = PIECE
        self.transport.registerProducer(self, True)
        self._server.joined(self)

    # What comes in

    def dataReceived(self, data: bytes) -> None:
        self._size += len(data)
        super().dataReceived(data)
        if self._size > MAX_QUESTION:
            self.transport.abortConnection()

    def ampBoxReceived(self, box: Any) -> None:
        self._size = 0
        self._questions.append(box)
        if len(self._questions) >= WAITING and not self._paused:
            self._paused = True
            self.transport.pauseProducing()
        self._server.wake()

    @property
    def ready(self) -> bool:
        """It has a question, and the answer to the one before is on its way."""
        return bool(self._questions) and not self._busy and not self._clogged

    def answerNext(self) -> None:
        """Answer the oldest question."""
        box = self._questions.popleft()
        if amp.COMMAND not in box or amp.ASK not in box:
            self.transport.abortConnection()  # nothing was ever asked of the client
            return
        self._busy = True
        super().ampBoxReceived(box)
        if self._paused and len(self._questions) < WAITING:
            self._paused = False
            self.transport.resumeProducing()

    # What goes out

    def sendBox(self, box: Any) -> None:
        self._busy = False
        super().sendBox(box)
        self._server.wake()

    def pauseProducing(self) -> None:
        """The client does not take its answers."""
        self._clogged = True

    def resumeProducing(self) -> None:
        self._clogged = False
        self._server.wake()

    def stopProducing(self) -> None:
        """The connection is lost."""

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._questions.clear()
        self._server.left(self)
        self.locator.cancel()
        amp.BinaryBoxProtocol.connectionLost(self, reason)
        self.transport = None


def peerCredentials(sock: socket.socket) -> tuple[int, int, int]:
    """Process, user and group of the other end of a Unix socket, as they were when it connected."""
    data = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    pid, uid, gid = _CREDENTIALS.unpack(data)
    return pid, uid, gid


class Control(Service):
    """
    The control socket of one service, for as long as that runs.

    @param path: C{None}: the usual place, and the daemon runs without a socket if that cannot be.
    @param reactor: provides IReactorUNIX and IReactorTime.
    """

    name = "control"
    _log = Logger()

    def __init__(self, service: HAService, reactor: Any, path: str | None = None) -> None:
        self._service = service
        self._reactor = reactor
        self._explicit = path is not None
        settings = service.settings
        self.path = path or place.defaultPath(settings.cluster, settings.node)
        self._server: Server | None = None
        self._port: Any = None
        self._error = ""
        self._inode = 0

    def startService(self) -> None:
        """
        @raise OSError: there can be no socket where one was asked for.
        """
        try:
            self._listen()
        except OSError as e:
            if self._explicit:
                raise
            self._log.warn(
                "No control socket, so the hatwist command cannot reach this daemon: {error}. Give one with "
                "--control PATH, or RuntimeDirectory=hatwist in the service's unit, or --control none",
                error=str(e),
            )
        super().startService()

    def _listen(self) -> None:
        if not self._explicit and not os.path.isdir(os.path.dirname(self.path)):
            os.makedirs(os.path.dirname(self.path), mode=0o755)
        wrong = place.problem(self.path)
        if wrong:
            raise OSError(f"--control: {wrong}")
        # A daemon that was killed left it: nobody listens, or that would have been a problem.
        if os.path.lexists(self.path):
            os.unlink(self.path)
        self._server = Server(self._service, self._reactor, self.path)
        # Between bind and chmod nobody else may connect either.
        before = os.umask(0o077)
        try:
            endpoint = UNIXServerEndpoint(self._reactor, self.path, mode=MODE)
            endpoint.listen(self._server).addCallbacks(self._listening, self._refused)
        finally:
            os.umask(before)
        if self._port is None:
            raise OSError(f"--control: cannot listen on {self.path}: {self._error}")
        self._inode = os.stat(self.path).st_ino

    def _listening(self, port: Any) -> None:
        self._port = port

    def _refused(self, failure: Failure) -> None:
        self._error = failure.getErrorMessage()

    def stopService(self) -> Deferred[None] | None:
        """Fires when the socket is gone."""
        super().stopService()
        port, self._port = self._port, None
        server, self._server = self._server, None
        if port is None or server is None:
            return None
        server.close()
        try:
            same = os.stat(self.path).st_ino == self._inode
        except FileNotFoundError:
            # Somebody removed it; Twisted is going to, and would stop at that.
            os.close(os.open(self.path, os.O_CREAT | os.O_WRONLY, 0o600))
            same = True
        if not same:
            self._log.warn(
                "{path} was replaced by another daemon's, and is removed", path=self.path
            )
        stopping: Deferred[None] = port.stopListening()
        return stopping
