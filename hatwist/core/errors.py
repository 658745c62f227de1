"""The errors of hatwist: what went wrong, and what to change."""

from __future__ import annotations

from collections.abc import Sequence


class HatwistError(Exception):
    """The base of every error raised by this package."""


class BadPacket(HatwistError):
    """
    A datagram that is no heartbeat for us.

    @ivar reason: one of L{REASONS}, the name under which it is counted.
    """

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason


REASONS = (
    "checksum",  # the checksum does not match
    "hops",  # forwarded by a router: its TTL or hop limit is less than that of its kind
    "vrid",  # a virtual router that is none of ours on this link
    "authentication",  # another password
    "interval",  # an interval that cannot be, or where it must be ours, another one
    "carp",  # of CARP, which has the number of VRRP
    "truncated",  # shorter than its fields say
    "trailing",  # longer than its fields say
    "magic",  # not a heartbeat at all
    "version",  # a version this release does not speak
    "malformed",  # a field out of its range
    "cluster",  # another cluster on the same group and port
    "unsigned",  # no signature where a key is set
    "unknown-key",  # signed with a key id that is not configured
    "signature",  # the signature does not match
    "replayed",  # its session and sequence number were seen before, or are older
    "repeated",  # a further copy of a guard's goodbye
    "same-name",  # another running node with this node's name
    "reflected",  # our own packet, come back
    "foreign-source",  # came over a unicast link from an address that is no peer of it
    "crowded",  # one node more than a cluster may have
    "vhid",  # a virtual host that is none of ours on this link
    "vrrp",  # of VRRP, which has the number of CARP
)

FOREIGN = ("carp", "vrrp")
"""Of these, what is of a protocol that shares its number with the one that was asked: another one here may want it."""
EXPECTED = ("reflected", "repeated", "vrid", "vhid", *FOREIGN)
"""Of these, what comes about in a healthy cluster: counted, and nothing for the log."""


class ConfigurationError(HatwistError):
    """
    A configuration that cannot be run.

    @ivar problems: every problem found, each naming the option, the value and what is allowed.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


class ResourceError(HatwistError):
    """A resource that could not be acquired, released or verified; the text says why."""


class Refused(HatwistError):
    """An order of the operator that cannot be carried out, or did not come about in time; the text says why."""
