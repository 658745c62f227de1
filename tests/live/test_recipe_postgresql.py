"""The recipe for a database of docs/recipes.rst, with real PostgreSQL servers that follow each other."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_twisted

from hatwist.core.errors import HatwistError
from tests.recipes import Rig, block

BIN = "/usr/lib/postgresql/15/bin"
# A server refuses to be root: in a user namespace of its own it is somebody else. Of one that is killed
# no shared memory is left.
RUNUSER = """\
#!/bin/sh
shift 3
exec unshare --user --ipc --map-user=1000 --map-group=1000 -- "$@"
"""
# What systemd would do with its unit.
SYSTEMCTL = f"""\
#!/bin/sh
echo "$HOST systemctl $*" >>"$LOG"
data="$HERE/$HOST/data"
exec runuser -u postgres -- {BIN}/pg_ctl -D "$data" -s -w -m fast -l "$HERE/$HOST/server.log" "$1" </dev/null
"""
MORE = """\
listen_addresses = '*'
wal_retrieve_retry_interval = 100ms
fsync = off
dynamic_shared_memory_type = mmap
unix_socket_directories = '{}'
"""


class Databases(Rig):
    """A server on alpha and one on beta; both start as standbys, as the recipe wants it."""

    def __init__(self, here: Path) -> None:
        super().__init__(here, block("postgresql.toml"))
        for host in self.lab.names:
            data = str(self.here / host / "data")
            script = block("pg-ha", {"/var/lib/postgresql/15/main": data})
            self.install("pg-ha", script, host)
        self.install("runuser", RUNUSER)
        self.install("systemctl", SYSTEMCTL)

    def environment(self, host: str) -> dict[str, str]:
        return {**super().environment(host), "PGHOST": str(self.here / host), "PGUSER": "postgres"}

    def postgres(self, host: str, program: str, *argv: str) -> str:
        """Run one of its programs there, as its user."""
        return self.run(host, "runuser", "-u", "postgres", "--", f"{BIN}/{program}", *argv)

    def sql(self, host: str, statement: str, *more: str) -> str:
        """What the server on a host says."""
        argv = ("-XAtq", "-v", "ON_ERROR_STOP=1", "-d", "postgres", *more, "-c", statement)
        return self.postgres(host, "psql", *argv).strip()

    def client(self, statement: str) -> str:
        """What whoever has the shared address says to the client."""
        argv = ["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-U", "postgres", "-d", "postgres"]
        return self.lab.lan.client.run([*argv, "-h", self.lab.address, "-c", statement]).strip()

    def create(self) -> None:
        """As an administrator does it once."""
        data = {host: self.here / host / "data" for host in self.lab.names}
        self.postgres(
            "alpha", "initdb", "-D", str(data["alpha"]), "-U", "postgres", "-A", "trust", "-N"
        )
        conf = data["alpha"] / "postgresql.conf"
        for host in self.lab.names:
            if host != "alpha":
                self.postgres(
                    "alpha", "pg_basebackup", "-U", "postgres", "-D", str(data[host]), "-c", "fast"
                )
            text = block("postgresql.conf") + MORE.format(self.here / host)
            conf = data[host] / "postgresql.conf"
            original = conf.read_text().split("# the test's")[0]
            conf.write_text(f"{original}# the test's\n{text}")
            if host == "alpha":
                with (data[host] / "pg_hba.conf").open("a") as access:
                    access.write("host all,replication all 10.99.0.0/24 trust\n")
                self.run(host, "systemctl", "start")
                self.sql("alpha", "CREATE TABLE hatwist (term bigint)")
                self.sql("alpha", "INSERT INTO hatwist VALUES (0)")
                self.sql("alpha", "CREATE TABLE entries (number int)")
        self.run("alpha", "systemctl", "stop")
        for host in self.lab.names:
            self.boot(host)

    def boot(self, host: str) -> None:
        """Its unit starts, with what the drop-in does before."""
        (self.here / host / "data/standby.signal").touch()
        self.run(host, "systemctl", "start")

    async def start(self) -> None:
        """alpha first, since it stays where it is."""
        lab = self.lab
        await lab.judge.start()
        await lab.judge.watch(lab.address)
        lab.run("alpha")
        await lab.untilOnly("alpha")
        await lab.run("beta").says("fitness in database: fit")
        await self.until(lambda: self.follows("beta"), "beta follows")

    def follows(self, host: str) -> bool:
        """Does it receive what the primary writes?"""
        try:
            return self.sql(host, "SELECT status FROM pg_stat_wal_receiver") == "streaming"
        except HatwistError:
            return False


@pytest_twisted.async_yield_fixture()
async def databases(tmp_path: Path) -> AsyncIterator[Databases]:
    """alpha is promoted and has the address, beta follows it."""
    made = Databases(tmp_path)
    try:
        made.create()
        await made.start()
        yield made
    finally:
        await made.close()


needed = pytest.mark.needs(f"{BIN}/postgres", "psql", "unshare")


@needed
@pytest_twisted.ensureDeferred
async def test_handedOver(databases: Databases) -> None:
    """A hand-over loses no entry: alpha ends, beta has everything and is promoted, alpha follows; and back again."""
    lab = databases.lab
    term = int(databases.client("SELECT term FROM hatwist"))
    assert term > 0
    for number in range(100):
        databases.client(f"INSERT INTO entries VALUES ({number})")
    lab.programs["alpha"].stop()
    await lab.untilOnly("beta")
    assert databases.client("SELECT count(*) FROM entries") == "100"
    assert databases.client("SELECT pg_is_in_recovery()") == "f"
    assert int(databases.client("SELECT term FROM hatwist")) > term
    databases.client("INSERT INTO entries VALUES (100)")
    await databases.until(lambda: databases.follows("alpha"), "alpha follows")
    assert databases.sql("alpha", "SELECT pg_is_in_recovery()") == "t"
    lab.run("alpha")
    await lab.programs["alpha"].says("peer-joined beta: heard")
    lab.programs["beta"].stop()
    await lab.untilOnly("alpha")
    assert databases.client("SELECT count(*) FROM entries") == "101"
    assert "beta systemctl restart postgresql@15-main.service" in databases.said()


@needed
@pytest_twisted.ensureDeferred
async def test_hostDies(databases: Databases) -> None:
    """When alpha dies beta is promoted with what it was sent, and takes what the clients write."""
    lab = databases.lab
    databases.client("INSERT INTO entries VALUES (1)")
    await databases.until(
        lambda: databases.sql("beta", "SELECT count(*) FROM entries") == "1", "sent"
    )
    databases.host("alpha").powerOff()
    await lab.untilOnly("beta")
    databases.client("INSERT INTO entries VALUES (2)")
    assert databases.client("SELECT count(*) FROM entries") == "2"


@needed
@pytest_twisted.ensureDeferred
async def test_lateCommand(databases: Databases) -> None:
    """A command of a claim that is over is refused by the term that the copy has seen."""
    lab = databases.lab
    lab.programs["alpha"].stop()
    await lab.untilOnly("beta")
    term = databases.client("SELECT term FROM hatwist")
    await databases.until(lambda: databases.follows("alpha"), "alpha follows")
    seen = lambda: databases.sql("alpha", "SELECT term FROM hatwist") == term  # noqa: E731
    await databases.until(seen, "alpha has seen the term")
    with pytest.raises(HatwistError, match=f"term 1 is not newer than {term}"):
        databases.run("alpha", "env", "HATWIST_TERM=1", "pg-ha", "promote")
    assert databases.sql("alpha", "SELECT pg_is_in_recovery()") == "t"


@needed
@pytest_twisted.ensureDeferred
async def test_notReady(databases: Databases) -> None:
    """A node whose server does not run is unfit: nothing is handed to it."""
    lab = databases.lab
    databases.run("beta", "systemctl", "stop")
    await lab.programs["beta"].says("fitness.* unfit: ")
    lab.programs["alpha"].stop()
    await lab.programs["alpha"].ended()
    await lab.elapse(3 * lab.tolerance)
    assert lab.judge.holders(lab.address) == set()
