"""What is known of each setting, and of the node whose settings are read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, NamedTuple

from hatwist.core.parsing import Seconds, Whole
from hatwist.core.table import Table


class Scope(Enum):
    """Where a setting is given."""

    OPTION = "as an option only"
    CLUSTER = "above the tables of a file, the same for all nodes"
    NODE = "in [node.NAME], or above the tables for all nodes that have none of their own"
    GROUP = "in [group.NAME]"
    EVENTS = "in the table C{on} of a group"
    VRRP = "in [group.NAME] with protocol = vrrp"
    CARP = "in [group.NAME] with protocol = carp"


class OnReload(Enum):
    """What a reload makes of another value."""

    REFUSED = "the node must be started anew"
    TOLD = "it is applied, and told as one value that becomes another"
    OWN = "it is applied, and has sentences of its own"


class KeyOption(NamedTuple):
    """
    The option of C{twistd ha} for a setting.

    @ivar help: what C{--help} says; the unit, and in brackets what counts where it is not given.
    @ivar short: its letter.
    @ivar name: what it is called where that is not the key's name with hyphens.
    @ivar many: it may be given several times.
    @ivar flag: it takes no value, and stands for this one; C{None}: it takes a value.
    @ivar blank: an empty text is the same as no option.
    @ivar split: makes the key's value of the option's; C{None}: there is none.
    """

    help: str
    short: str | None = None
    name: str = ""
    many: bool = False
    flag: bool | None = None
    blank: bool = False
    split: Callable[[Any], Any] = lambda value: value


class Known:
    """
    What is known while the settings of one node, or of one of its groups, are read.

    @param node: its name.
    @param nodes: the nodes that the file names, which vote unless there are C{members}.
    @param here: this host is that node: its key file can be read.
    @param inherited: what the node has for groups that say nothing, by name.
    @ivar found: what was read before, by name.
    """

    def __init__(
        self,
        node: str,
        nodes: Sequence[str] = (),
        here: bool = True,
        inherited: Mapping[str, Any] | None = None,
    ) -> None:
        self.node = node
        self.nodes = nodes
        self.here = here
        self.inherited = inherited or {}
        self.found: dict[str, Any] = {}


Read = Callable[[Table, Known], Any]


@dataclass(frozen=True)
class Key:
    """
    One setting.

    @ivar name: its key in a file.
    @ivar field: where it is found in L{Settings}, or for a scope of groups in L{GroupSettings}; C{""}: in another's.
    @ivar parse: reads its value; raises ValueError with a sentence about what is allowed.
    @ivar usual: what counts where it is not given, in the words of an option if these differ from the value.
    @ivar read: reads it where C{parse} and C{usual} depend on what was read before, or it is more than one value.
    @ivar allowed: the range of its values, as documents have it.
    @ivar inherited: a node can have it for those of its groups that say nothing.
    @ivar shared: it must be the same on every node.
    @ivar word: what it is in the digest; C{""} for what is as it was before there was this setting, so that the digests
        of those who do not use it stay. C{None} for what is shared: L{hatwist.settings.digest} has a place for it.
    @ivar example: what the file of C{hatwist init} says about it; C{""}: it is not there.
    @ivar told: a line of C{hatwist check} about it, from settings, or those of a group; C{""}: none.
    @ivar without: protocols of a group that have no use for it.
    """

    name: str
    field: str
    scope: Scope
    parse: Callable[[Any], Any] | None = None
    usual: Any = None
    read: Read | None = None
    allowed: str = ""
    inherited: bool = False
    shared: bool = False
    word: Callable[[Any], str] | None = None
    reload: OnReload = OnReload.REFUSED
    option: KeyOption | None = None
    example: str = ""
    told: Callable[[Any], str] | None = None
    without: tuple[str, ...] = ()

    @property
    def path(self) -> str:
        """The name, from the table of its group on."""
        return f"on.{self.name}" if self.scope is Scope.EVENTS else self.name

    @property
    def range(self) -> str:
        """Such as C{"0.005 to 60"}."""
        return str(self.parse) if isinstance(self.parse, Seconds | Whole) else self.allowed

    @property
    def default(self) -> Any:
        """The value that counts where it is not given, and that does not depend on others."""
        if isinstance(self.usual, str) and self.usual and self.parse is not None:
            return self.parse(self.usual)
        return self.usual

    @property
    def optionName(self) -> str:
        """C{"preempt-delay"}"""
        name = self.option.name if self.option is not None else ""
        return name or self.name.replace("_", "-")

    @property
    def argument(self) -> str:
        """What it is called where a program gives it: C{"preemptDelay"}."""
        flag = self.option is not None and self.option.flag is not None
        name = self.name if flag else self.optionName
        first, *more = name.replace("_", "-").split("-")
        return first + "".join(word.capitalize() for word in more)

    def take(self, table: Table, known: Known) -> None:
        """Read it into what is known. Problems are noted in the table."""
        known.found[self.path] = self._value(table, known)

    def _value(self, table: Table, known: Known) -> Any:
        if self.read is not None:
            return self.read(table, known)
        assert self.parse is not None
        return table.take(self.name, self.parse, known.inherited.get(self.name, self.default))
