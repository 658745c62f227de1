"""
scapy proves the frames of a daemon after each start, byte for byte, and is gone again a second later.

The frames that are sent (L{hatwist.protocols.frames.TEMPLATES}) never wait for the proof and never depend on it: it
tells of a scapy, or a Python, that sees them differently than those with which hatwist was tested.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from hatwist.core.errors import ResourceError
from hatwist.linux.lan import building
from hatwist.protocols.frames import TEMPLATES
from hatwist.resources.process import run

COMMAND = (sys.executable, "-P", building.__file__)
AFTER = 10.0
"""Seconds after the start of a daemon: who holds what is settled by then, and shared no processor with scapy."""
LIMIT = 60.0
"""Seconds that scapy may take: a process that runs when nobody else wants to may wait for long."""


class FramesProof(Service):
    """
    Compares the frames of this daemon with scapy's once, L{AFTER} its start, and logs what came of it.

    @param reactor: where the process is started.
    @param command: what prints scapy's templates, see L{building}.
    """

    name = "frames-proof"
    _log = Logger()

    def __init__(self, reactor: Any, command: Sequence[str] = COMMAND) -> None:
        self._reactor = reactor
        self._command = command
        self._later: IDelayedCall | None = None
        self._proving: Deferred[None] | None = None

    def startService(self) -> None:
        super().startService()
        self._later = self._reactor.callLater(AFTER, self._begin)

    def stopService(self) -> Deferred[None] | None:
        """Fires when the process, if there is one, is dead."""
        super().stopService()
        later, self._later = self._later, None
        proving, self._proving = self._proving, None
        if later is not None:
            later.cancel()
        if proving is not None:
            proving.cancel()
        return proving

    def _begin(self) -> None:
        self._later = None
        self._proving = Deferred.fromCoroutine(self._prove())

    async def _prove(self) -> None:
        lines: list[str] = []
        try:
            ending = await run(self._reactor, self._command, LIMIT, said=lines.append)
        except ResourceError as error:
            self._unproven(str(error))
            return
        except CancelledError:  # the daemon ends before
            return
        if ending.code:
            self._unproven(ending.words or f"exit status {ending.code}")
            return
        scapys = {name: frame for name, _, frame in (line.partition(" ") for line in lines)}
        differing = [
            name for name, frame in TEMPLATES._asdict().items() if scapys.get(name) != frame.hex()
        ]
        if differing:
            self._log.error(
                "scapy builds other frames than those that are sent, which are as hatwist was tested: {frames}",
                frames=", ".join(differing),
            )
        else:
            self._log.info("The frames that announce addresses are scapy's, byte for byte")

    def _unproven(self, why: str) -> None:
        self._log.warn(
            "The frames that announce addresses could not be compared with scapy's: {why}", why=why
        )
