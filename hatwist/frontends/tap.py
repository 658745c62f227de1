"""The command C{ha} of twistd and twist: options in, one service out."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from typing import Any, NoReturn

from twisted.application.service import IService
from twisted.logger import LogLevel
from twisted.python import usage

from hatwist.core.errors import ConfigurationError
from hatwist.core.table import inFile, nearest
from hatwist.frontends.composition import compose
from hatwist.frontends.logs import journalStream, prioritized
from hatwist.settings import Settings, load
from hatwist.settings.key import Key
from hatwist.settings.options import OPTIONS, fromOptions

_FIRST = ("interface", "node", "cluster", "key-file", "priority")
"""What most command lines have comes first in C{--help}, the rest in the order in which it is read."""


def _usual(key: Key) -> str | None:
    """As C{--help} shows it."""
    return key.usual or None if isinstance(key.usual, str) else None


_PARAMETERS = [
    [key.optionName, option.short, _usual(key), option.help]
    for key, option in OPTIONS
    if not option.many and option.flag is None
]


def _place(parameter: list[str | None]) -> int:
    name = parameter[0]
    return _FIRST.index(name) if name in _FIRST else len(_FIRST)


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
        *sorted(_PARAMETERS, key=_place),
    ]
    WITH_CONFIG = frozenset(("config", "node"))
    optFlags = [
        [key.optionName, option.short, option.help]
        for key, option in OPTIONS
        if option.flag is not None
    ]

    def __init__(self) -> None:
        super().__init__()
        self["address"] = []
        self["alias"] = []
        for key, option in OPTIONS:
            if option.many:
                self[key.optionName] = []

    def opt_address(self, text: str) -> None:
        """Shared address, ADDRESS/PREFIX[@INTERFACE]; may be given several times."""
        self["address"].append(text)

    opt_a = opt_address

    def opt_alias(self, name: str) -> None:
        """Name for ifup and ifdown, such as eth0:1; may be given several times."""
        self["alias"].append(name)

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


def _collecting(name: str, says: str) -> Callable[[Options, str], None]:
    """The method of an option that may be given several times."""

    def collect(options: Options, text: str) -> None:
        options[name].append(text)

    collect.__doc__ = says
    return collect


for _key, _option in OPTIONS:
    if _option.many:
        setattr(Options, f"opt_{_key.optionName}", _collecting(_key.optionName, _option.help))


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
    words: dict[str, Any] = {
        key.argument: options[key.optionName]
        if option.flag is None
        else bool(options[key.optionName]) is option.flag
        for key, option in OPTIONS
    }
    words |= {"address": options["address"], "alias": options["alias"]}
    try:
        found = fromOptions(words, here)
    except ConfigurationError as e:
        raise ConfigurationError([*e.problems, *problems]) from None
    if problems:
        raise ConfigurationError(problems)
    return found


def _named(options: Options, key: str, value: str) -> str:
    """A setting as whoever gave it wrote it: an option, or a key of the file."""
    path = options["config"]
    return f"--{key} {value}" if path is None else f"{path}: {inFile((key,), value)}"


def makeService(options: Options) -> IService:
    """
    The service of these options.

    @raise SystemExit: they cannot be run here; nothing was touched.
    """
    from twisted.internet import reactor

    problems: list[str] = []
    parent = getattr(options, "parent", None) or {}
    for name in ("uid", "gid", "chroot"):
        if parent.get(name) is not None:
            problems.append(
                f"--{name} of twistd takes away the right to change addresses: run it as that user "
                "with AmbientCapabilities=CAP_NET_ADMIN CAP_NET_RAW instead"
            )

    def read() -> Settings:
        return chosen(options, here=True)

    try:
        service = compose(read(), reactor, read, lambda *given: _named(options, *given))
    except ConfigurationError as e:
        problems[:0] = e.problems
    if problems:
        refuse(problems)
    return service
