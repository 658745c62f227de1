"""The recipes of docs/recipes.rst do what they say; their commands are read from there."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_twisted
from twisted.internet.defer import gatherResults

from hatwist.lab.lab import Lab
from tests.recipes import Rig, block

# DRBD, file system and unit as far as they depend on each other: each line of the log says on which host,
# in which term, and whether the address is there.
FAKE = """\
#!/bin/sh
name=$(basename "$0")
test "$name" = mountpoint || test "$2" = is-active && quiet=yes || quiet=
at=-
ip -o address show | grep -qF 10.99.0.100 && at=A
test -n "$quiet" || echo "$HOST ${HATWIST_TERM:-} $at $name $*" >>"$LOG"
fault="$HERE/fault.$name.$HOST"
test ! -e "$fault" || . "$fault"
here() { test -e "$HERE/$1.$HOST"; }
refuse() { echo "$2" >&2; exit "$1"; }
case "$name $1" in
"drbdadm primary")
    for other in "$HERE"/primary.*; do
        test ! -e "$other" || test "$other" = "$HERE/primary.$HOST" || refuse 11 "Multiple primaries not allowed"
    done
    touch "$HERE/primary.$HOST" ;;
"drbdadm secondary")
    ! here mounted || refuse 11 "Device is held open by someone"
    rm -f "$HERE/primary.$HOST" ;;
"mount "*)
    here primary || refuse 32 "mount: /srv: wrong medium type"
    touch "$HERE/mounted.$HOST" ;;
"umount "*)
    here mounted || refuse 32 "umount: /srv: not mounted."
    ! here started || refuse 32 "umount: /srv: target is busy."
    rm "$HERE/mounted.$HOST" ;;
"mountpoint "*) here mounted ;;
"systemctl "*)
    case $2 in
    start) here mounted || refuse 1 "no /srv"; touch "$HERE/started.$HOST" ;;
    stop) rm -f "$HERE/started.$HOST" ;;
    is-active) if here started; then echo active; else echo inactive; exit 3; fi ;;
    esac ;;
esac
"""
ACQUIRED = (
    "drbdadm primary r0",
    "mount /dev/drbd0 /srv",
    "systemctl --no-ask-password start -- nfs-server.service",
)
RELEASED = (
    "systemctl --no-ask-password stop -- nfs-server.service",
    "umount /srv",
    "drbdadm secondary r0",
)


class Store(Rig):
    """The DRBD recipe on three hosts."""

    def __init__(self, here: Path, changes: dict[str, str] | None = None) -> None:
        super().__init__(here, block("drbd.toml", changes), ("alpha", "beta", "gamma"))
        for name in ("drbdadm", "mount", "umount", "mountpoint", "systemctl"):
            self.install(name, FAKE)

    async def start(self) -> None:
        """Start all; returns when alpha has everything, and the others have released what they might have."""
        await self.lab.start()
        for host in self.lab.names:
            done = f"{host} 0 - drbdadm secondary r0"
            await self.until(lambda done=done: done in self.log.read_text(), done)  # type: ignore[misc]

    def fault(self, program: str, host: str, script: str) -> None:
        """Let a program do something else on a host."""
        (self.here / f"fault.{program}.{host}").write_text(script)

    def ran(self) -> list[tuple[str, bool, str]]:
        """What ran: on which host, with the address there, and what."""
        found = []
        for line in self.said():
            host, _, at, command = line.split(" ", 3)
            found.append((host, at == "A", command))
        return found


def on(host: str, *commands: str) -> list[tuple[str, bool, str]]:
    """What one host runs while the address is not there."""
    return [(host, False, command) for command in commands]


@pytest_twisted.async_yield_fixture()
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    """alpha has everything, beta and gamma nothing."""
    made = Store(tmp_path, {"timeout = 10}": "timeout = 2}"})
    try:
        await made.start()
        yield made
    finally:
        await made.close()


@pytest_twisted.ensureDeferred
async def test_drbdStart(store: Store) -> None:
    """Every node releases what an earlier run may have left; one acquires, all before the address is there."""
    ran = store.ran()
    for host in store.lab.names:
        assert [entry for entry in ran if entry[0] == host][:3] == on(host, *RELEASED)
    assert [entry for entry in ran if entry[0] == "alpha"][3:] == on("alpha", *ACQUIRED)
    assert store.run("alpha", "ls", str(store.here)).count("primary.") == 1


@pytest_twisted.ensureDeferred
async def test_drbdHandedOver(store: Store) -> None:
    """An orderly stop: address, unit, mount and disk go in this order here, and then come in reverse there."""
    lab = store.lab
    store.ran()
    since = await lab.judge.mark()
    lab.programs["alpha"].stop()
    await lab.untilOnly("beta")
    assert store.ran() == [*on("alpha", *RELEASED), *on("beta", *ACQUIRED)], lab.said()
    report = await lab.judge.report(lab.address, since)
    assert report.twoHolders == 0
    lab.run("alpha")
    await lab.untilOnly("alpha")
    # What an earlier run left, at its start; then as before.
    assert store.ran() == [
        *on("alpha", *RELEASED),
        *on("beta", *RELEASED),
        *on("alpha", *ACQUIRED),
    ], lab.said()


@pytest_twisted.ensureDeferred
async def test_drbdHostDies(store: Store) -> None:
    """A host without power: the next node does all steps, with a term that is greater."""
    lab = store.lab
    terms = [int(line.split()[1]) for line in store.said() if "drbdadm primary" in line]
    store.host("alpha").powerOff()
    for what in ("primary", "mounted", "started"):
        (store.here / f"{what}.alpha").unlink()
    await lab.untilOnly("beta")
    lines = store.said()
    assert [line.split(" ", 3)[3] for line in lines] == [*ACQUIRED]
    assert all(int(line.split()[1]) > max(terms) for line in lines if "drbdadm" in line), lines


FAULTS = {
    "fails": ("echo 'mount: wrong fs type' >&2; exit 32", r"ended with 32 \(mount: wrong fs type\)"),
    "hangs": ("trap '' TERM; while :; do sleep 600; done", "not done within 2 s, killed"),
}  # fmt: skip


@pytest.mark.parametrize("what", FAULTS)
@pytest_twisted.ensureDeferred
async def test_drbdInTheMiddle(store: Store, what: str) -> None:
    """A step that fails or hangs: what came before it is undone in reverse, and the next node gets its turn."""
    lab = store.lab
    script, said = FAULTS[what]
    store.fault("mount", "beta", script)
    store.ran()
    lab.programs["alpha"].stop()
    await lab.programs["beta"].says(f"acquire-failed in store: mount /dev/drbd0 /srv: .*{said}")
    await lab.untilOnly("gamma")
    assert store.ran() == [
        *on("alpha", *RELEASED),
        *on("beta", ACQUIRED[0], ACQUIRED[1], RELEASED[1], RELEASED[2]),
        *on("gamma", *ACQUIRED),
    ], lab.said()
    # beta waits before it is worthier again.
    assert lab.judge.holders(lab.address) == {"gamma"}
    left = [
        Path(f"/proc/{pid}/comm").read_text() for pid in store.host("beta").namespace.processes()
    ]
    assert "sleep\n" not in left


@pytest_twisted.ensureDeferred
async def test_drbdBusy(store: Store) -> None:
    """Where the file system cannot be unmounted nothing is told as released, and nobody else is given the disk."""
    lab = store.lab
    store.fault("umount", "alpha", "echo 'target is busy' >&2; exit 32")
    store.ran()
    since = await lab.judge.mark()
    lab.programs["alpha"].stop()
    await lab.programs["alpha"].says(r"could not be released: .*target is busy")
    await lab.elapse(3 * lab.tolerance)
    assert {host for host, _, _ in store.ran()} == {"alpha"}, lab.said()
    (store.here / "fault.umount.alpha").unlink()
    await lab.untilOnly("beta")
    report = await lab.judge.report(lab.address, since)
    assert report.twoHolders == 0
    assert store.ran()[-4:] == [("alpha", False, RELEASED[2]), *on("beta", *ACQUIRED)]
    await gatherResults([lab.programs["alpha"].ended()])


def test_drbdAsWritten(tmp_path: Path) -> None:
    """The recipe gives its commands the ten seconds that its text speaks of."""
    assert block("drbd.toml").count("timeout = 10") == 2
    assert re.search(r"^\[group\.store\]", block("drbd.toml"), re.MULTILINE)
    assert Lab.address in block("drbd.toml")
