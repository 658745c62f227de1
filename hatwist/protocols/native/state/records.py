"""The records of one session of a node, by group and by version."""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Iterator

from hatwist.protocols.native.datagram import GroupRecord
from hatwist.protocols.native.encoding import fingerprint


class Records:
    """
    The newest record of each group, those of groups that were removed included.

    A record stands at the version of its last change, so that what lies between two versions is what changed.
    """

    def __init__(self) -> None:
        self._groups: dict[str, GroupRecord] = {}
        # Versions in order, and whose they are. One that was superseded stays until half of them are.
        self._versions: list[int] = []
        self._names: dict[int, str] = {}
        self._sum = 0
        self._unsummed: dict[str, int] = {}
        self._fingerprints: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._groups)

    def __iter__(self) -> Iterator[GroupRecord]:
        return iter(self._groups.values())

    def get(self, group: str) -> GroupRecord | None:
        return self._groups.get(group)

    def put(self, record: GroupRecord) -> bool:
        """Keep a record, if it is newer than the one of its group. Was it?"""
        name, version, _ = record
        known = self._groups.get(name)
        if known is not None:
            if known.version >= version:
                return False
            del self._names[known.version]
        self._groups[name] = record
        self._names[version] = name
        self._unsummed[name] = version
        if not self._versions or version > self._versions[-1]:
            self._versions.append(version)
        else:
            insort(self._versions, version)
        if len(self._versions) > 2 * len(self._groups) + 32:
            self._versions = sorted(self._names)
        return True

    def between(self, start: int, end: int) -> Iterator[GroupRecord]:
        """The records whose versions lie in (start, end], by rising version."""
        versions, names, groups = self._versions, self._names, self._groups
        for at in range(bisect_right(versions, start), len(versions)):
            version = versions[at]
            if version > end:
                break
            name = names.get(version)
            if name is not None:
                yield groups[name]

    @property
    def sum(self) -> int:
        """Of all fingerprints, modulo 2**64."""
        for name in self._unsummed:
            new = fingerprint(self._groups[name])
            self._sum += new - self._fingerprints.get(name, 0)
            self._fingerprints[name] = new
        self._unsummed.clear()
        return self._sum % (1 << 64)
