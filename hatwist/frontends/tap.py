"""The command C{ha} of twistd and twist: options in, one service out."""

from __future__ import annotations

import gc
import re
import sys
from typing import Any, NoReturn

from twisted.application.service import IService
from twisted.logger import LogLevel
from twisted.python import usage

from hatwist.core.errors import ConfigurationError
from hatwist.core.table import nearest
from hatwist.frontends.control import place
from hatwist.frontends.control.server import Control
from hatwist.frontends.logs import journalStream, prioritized
from hatwist.frontends.notify import Notifier
from hatwist.frontends.reloader import Reloader
from hatwist.runtime.clock import ClockError, useMonotonic
from hatwist.runtime.lock import NodeLock, Taken
from hatwist.service.proof import FramesProof
from hatwist.service.service import HAService
from hatwist.settings import MULTICAST, Settings, load, settings
from hatwist.settings.endpoint import unusable


class Options(usage.Options):
    """The options of C{twistd ha}."""

    synopsis = "[options]"
    longdesc = (
        "Keep shared addresses on exactly one of several hosts of a LAN. Run it on each of them, with "
        "the same --address, --cluster, --interval and --key-file."
    )
    optParameters = [
        [
            "config",
            None,
            None,
            "TOML file with everything, the same on every node; --node may go with it, and nothing else.",
        ],
        ["interface", "i", None, "Network interface for heartbeats, such as eth0."],
        ["node", "n", None, "Name of this node [default: the host's name]."],
        ["cluster", "c", "default", "Name of the cluster."],
        [
            "key-file",
            "k",
            None,
            "File (mode 0600) with the key that signs heartbeats, one in a line.",
        ],
        ["priority", "p", "100", "0 to 254; the highest holds the addresses."],
        ["interval", None, "1.0", "Seconds between heartbeats."],
        [
            "tolerance",
            None,
            None,
            "Seconds of silence that make a node count as gone [3.5 intervals].",
        ],
        ["multicast", None, str(MULTICAST), "IPv4 multicast group and port of the heartbeats."],
        [
            "preempt-delay",
            None,
            "0",
            "Seconds for which a worthier node is up before it takes over.",
        ],
        [
            "ask-limit",
            None,
            None,
            "Seconds without a holder's word after which the address is taken though a host answers for it [none].",
        ],
        ["quorum", None, None, "Votes that a claim takes: majority, or a number; needs --members."],
        ["witness", None, None, "IP address of a host that tells a node whether it is cut off."],
        ["witness-lost", None, "release", "keep or release, when no node reaches the witness."],
        [
            "lease",
            None,
            None,
            "Seconds, whole, after which the kernel removes addresses by itself; 0: never [tolerance].",
        ],
        [
            "state-dir",
            None,
            None,
            "Directory where terms and votes are remembered [/var/lib/hatwist].",
        ],
        [
            "control",
            None,
            None,
            "Path of the socket for the hatwist command; none: there is none [/run/hatwist/CLUSTER.NODE.sock].",
        ],
        [
            "http",
            None,
            None,
            "Serve metrics, health and a page there, such as tcp:9107:interface=127.0.0.1.",
        ],
    ]
    WITH_CONFIG = frozenset(("config", "node"))
    optFlags = [
        ["no-preempt", None, "Leave the addresses where they are when a worthier node returns."]
    ]

    def __init__(self) -> None:
        super().__init__()
        self["address"] = []
        self["alias"] = []
        self["members"] = []
        self["link"] = []

    def opt_address(self, text: str) -> None:
        """Shared address, ADDRESS/PREFIX[@INTERFACE]; may be given several times."""
        self["address"].append(text)

    opt_a = opt_address

    def opt_alias(self, name: str) -> None:
        """Name for ifup and ifdown, such as eth0:1; may be given several times."""
        self["alias"].append(name)

    def opt_link(self, text: str) -> None:
        """
        Way of the heartbeats, INTERFACE[,KIND] of kind multicast, multicast6, broadcast or
        unicast=PEER,PEER,...; may be given several times [multicast on --interface].
        """
        self["link"].append(text)

    def opt_members(self, names: str) -> None:
        """Names of all nodes that vote, with commas between them; may be given several times."""
        self["members"].append(names)

    def parseOptions(self, options: Any = None) -> None:
        """Exit with 1, where twistd would exit with 0, on an option that does not exist."""
        try:
            super().parseOptions(options)
        except usage.UsageError as e:
            refuse([f"{e}{self._meant(str(e))}; see twistd ha --help"])

    def _meant(self, problem: str) -> str:
        """C{"; did you mean --address?"}, where an option is not known and one is like it."""
        strange = re.search(r"option --(\S+) not recognized", problem)
        known = [name.rstrip("=") for name in self.longOpt]
        close = nearest(strange[1], known, listed=False) if strange else ""
        return close.replace("mean ", "mean --").rstrip("?")

    def postOptions(self) -> None:
        """Where twistd would print its log, and the journal reads that, each line has its priority."""
        twistd = getattr(self, "parent", None)
        if (
            twistd is not None
            and twistd.get("nodaemon")
            and not twistd.get("syslog")
            and not twistd.get("logger")
            and twistd.get("logfile") in (None, "-")
            and journalStream() is not None
        ):
            twistd["logger"] = "hatwist.frontends.logs.journal"


def refuse(problems: Any) -> NoReturn:
    """End the program with every problem and exit code 1."""
    text = "\n".join(["twistd ha cannot start:", *(f"  {line}" for line in problems)])
    if journalStream(out=sys.stderr) is not None:
        text = prioritized(text, LogLevel.error).rstrip("\n")
    raise SystemExit(text)


def chosen(options: Options, here: bool) -> Settings:
    """
    The settings of these options, or of the file that they name.

    @param here: see L{settings}.
    @raise ConfigurationError: with every problem.
    """
    if options["config"] is not None:
        fresh = Options()
        others = [f"--{name}" for name in fresh if options[name] != fresh[name]]
        if refused := [name for name in others if name[2:] not in options.WITH_CONFIG]:
            raise ConfigurationError(
                [f"{' '.join(refused)} with --config: write it into {options['config']}"]
            )
        return load(options["config"], options["node"], here)
    problems = []
    if not options["address"] and not options["alias"]:
        problems.append(
            "nothing to share: give at least one --address or --alias, or a file with --config"
        )
    try:
        found = settings(
            interface=options["interface"],
            address=options["address"],
            alias=options["alias"],
            node=options["node"],
            cluster=options["cluster"],
            keyFile=options["key-file"],
            priority=options["priority"],
            interval=options["interval"],
            tolerance=options["tolerance"],
            multicast=options["multicast"],
            preempt=not options["no-preempt"],
            preemptDelay=options["preempt-delay"],
            quorum=options["quorum"],
            members=options["members"],
            lease=options["lease"],
            stateDir=options["state-dir"],
            link=options["link"],
            witness=options["witness"],
            witnessLost=options["witness-lost"],
            askLimit=options["ask-limit"],
            control=options["control"],
            http=options["http"],
            here=here,
        )
    except ConfigurationError as e:
        raise ConfigurationError([*e.problems, *problems]) from None
    if problems:
        raise ConfigurationError(problems)
    return found


def makeService(options: Options) -> IService:
    """
    The service of these options.

    @raise SystemExit: they cannot be run here; nothing was touched.
    """
    from twisted.internet import reactor

    problems: list[str] = []
    try:
        found = chosen(options, here=True)
    except ConfigurationError as e:
        problems += e.problems
    else:
        if found.control not in ("", place.OFF) and (wrong := place.problem(found.control)):
            problems.append(f"--control {found.control}: {wrong}")
    if not problems and found.http is not None and (wrong := unusable(found.http)):
        problems.append(f"--http {found.http}: {wrong}")
    parent = getattr(options, "parent", None) or {}
    for name in ("uid", "gid", "chroot"):
        if parent.get(name) is not None:
            problems.append(
                f"--{name} of twistd takes away the right to change addresses: run it as that user "
                "with AmbientCapabilities=CAP_NET_ADMIN CAP_NET_RAW instead"
            )
    if not problems:
        try:
            # It is taken when the service starts; but then nothing can be refused in one line any more.
            NodeLock.of(found.stateDir, found.cluster, found.node).check()
        except Taken as e:
            problems.append(str(e))
    if problems:
        refuse(problems)
    try:
        useMonotonic(reactor)
    except ClockError as e:
        refuse([str(e)])
    # All that is there by then stays; to look through it takes 30 ms, several heartbeats of a fast cluster.
    reactor.callWhenRunning(gc.freeze)
    service = HAService(found, reactor)
    if found.http is not None:
        # Twisted's HTTP and prometheus-client are for who wants them.
        from hatwist.frontends.web.server import Web

        Web(service, found.http, reactor).setServiceParent(service)
    notifier = Notifier(service, reactor)
    notifier.setServiceParent(service)
    reloader = Reloader(reactor, service, lambda: chosen(options, here=True), notifier)
    reloader.setServiceParent(service)
    FramesProof(reactor).setServiceParent(service)
    if found.control != place.OFF:
        Control(service, reactor, found.control or None).setServiceParent(service)
    return service
