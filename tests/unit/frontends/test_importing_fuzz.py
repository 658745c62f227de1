"""Whatever a file says, an import ends with a file that the product takes, or with one error that names the line."""

from __future__ import annotations

import json
import re
import tomllib
import warnings
from collections.abc import Callable

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.errors import NonInteractiveExampleWarning
from twisted.trial.unittest import SynchronousTestCase

from hatwist.frontends.importing.notes import MigrationError
from hatwist.frontends.importing.toml import value
from tests.importing import imported

warnings.filterwarnings("ignore", category=NonInteractiveExampleWarning)

WORDS = {
    "keepalived": (
        "vrrp_instance vrrp_sync_group vrrp_script vrrp_track_process global_defs group virtual_ipaddress "
        "virtual_ipaddress_excluded virtual_routes virtual_rules track_script track_interface track_process "
        "authentication auth_pass notify notify_master notify_backup interface state MASTER priority 150 255 "
        "advert_int 0.01 60 1e999 nan nopreempt preempt_delay virtual_router_id 51 script interval timeout rise "
        "fall weight -4 reverse dev via src gw default from to table unicast_peer 10.0.0.2 10.0.0.1/24 fe80::1/64 "
        "2001:db8::1 A B eth0 include x $A=1 $A ${A} @a @^b ~SEQ(N,1,3) ~LST(N,x,y) ${N} down_timer_adverts 1 "
        "process nginx virtual_server { } ( ' \" \\ # !"
    ),
    "heartbeat": (
        "node alpha beta.x.org bcast mcast ucast eth0 eth1 239.1.2.3 694 10.0.0.2 keepalive 2 200ms deadtime 0 30 "
        "auto_failback on off ping ping_group crm respawn /x/ipfail stonith_host auth 1 cluster IPaddr::10.0.0.1 "
        "10.0.0.1/24/eth0 IPaddr2::10.0.0.3/255.255.255.0/eth0:1/10.0.0.255 IPv6addr::2001:db8::1/64 drbddisk::r0 "
        "Filesystem::/dev/a::/b LVM:: MailTo::x httpd \\ # ²"
    ),
    "ucarp": (
        "iface eth0 eth0:ucarp inet static auto address netmask 10.0.0.1 10.0.0.2/24 255.255.255.0 ucarp-vid 3 "
        "ucarp-vip ucarp-password ucarp-advskew ucarp-advbase ucarp-master yes no ucarp-deadratio ucarp-nomcast "
        "ucarp-upscript source up /x \\ # ²"
    ),
}
KEYS = (
    "ethernetDevice sharedEthernetDevice interface alias address prefix netmask interval tolerance timeout "
    "multicastAddress multicastPort multicast priority ipVersion frob"
)
PLACED = re.compile(r"[^\n]*file\d(:\d+)?: [^\n]+\Z|file0 \([^\n]+\Z")


def files(kind: str) -> st.SearchStrategy[str]:
    """Texts of the words of one kind, in any order, with other characters here and there."""
    # A NUL is refused before anything is read.
    other = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=6)
    word = st.one_of(st.sampled_from(WORDS[kind].split()), other)
    line = st.lists(word, max_size=6).map(" ".join)
    return st.lists(line, max_size=25).map("\n".join)


def shaped() -> st.SearchStrategy[str]:
    """Texts in which instances hold lines of any words."""
    word = st.sampled_from([each for each in WORDS["keepalived"].split() if each not in "{}'\"\\"])
    line = st.lists(word, min_size=1, max_size=5).map(" ".join)
    lines = st.lists(line, max_size=8).map("\n".join)
    block = st.tuples(
        st.sampled_from(
            [
                "virtual_ipaddress",
                "virtual_routes",
                "virtual_rules",
                "track_script",
                "track_interface",
                "unicast_peer",
            ]
        ),
        lines,
    ).map(lambda pair: f"{pair[0]} {{\n{pair[1]}\n}}")
    inside = st.lists(st.one_of(line, block), max_size=8).map("\n".join)
    top = st.tuples(
        st.sampled_from(
            [
                "vrrp_instance A",
                "vrrp_instance B",
                "vrrp_sync_group A",
                "vrrp_script s",
                "global_defs",
            ]
        ),
        inside,
    ).map(lambda pair: f"{pair[0]} {{\nvirtual_ipaddress {{\n10.0.0.9/24\n}}\n{pair[1]}\n}}")
    return st.lists(top, min_size=1, max_size=4).map("\n".join)


Check = Callable[[str], None]


def everywhere(strategy: st.SearchStrategy[str]) -> Callable[[Check], Check]:
    """Let hypothesis choose, the same each time."""

    def decorate(test: Check) -> Check:
        quiet = settings(
            max_examples=120,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        )
        found: Check = quiet(given(strategy)(test))
        return found

    return decorate


class FuzzTests(SynchronousTestCase):
    """No text makes anything but a file or an error."""

    def check(self, *texts: str | tuple[str, str], kind: str | None) -> None:
        """Import, which reads what it made with the product's own reader."""
        try:
            imported(*texts, kind=kind)
        except MigrationError as error:
            self.assertRegex(str(error), PLACED)

    def test_keepalived(self) -> None:
        """keepalived.conf of any words."""
        everywhere(files("keepalived"))(lambda text: self.check(text, kind="keepalived"))()  # type: ignore[call-arg]

    def test_keepalived_shaped(self) -> None:
        """keepalived.conf that looks like one."""
        everywhere(shaped())(lambda text: self.check(text, kind="keepalived"))()  # type: ignore[call-arg]

    def test_hosts(self) -> None:
        """The same of two hosts, whose files have nothing to do with each other."""
        pairs = st.tuples(shaped(), shaped())
        quiet = settings(
            max_examples=80,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        )
        quiet(
            given(pairs)(lambda pair: self.check(("a", pair[0]), ("b", pair[1]), kind="keepalived"))
        )()

    def test_heartbeat(self) -> None:
        """ha.cf and haresources of any words."""
        everywhere(files("heartbeat"))(lambda text: self.check(text, kind="heartbeat"))()  # type: ignore[call-arg]

    def test_ucarp(self) -> None:
        """interfaces(5) of any words."""
        everywhere(files("ucarp"))(lambda text: self.check(text, kind="ucarp"))()  # type: ignore[call-arg]

    def test_json(self) -> None:
        """ha.json of any values."""
        values = st.one_of(
            st.none(),
            st.booleans(),
            st.integers(),
            st.floats(),
            st.text(max_size=8),
            st.just("10.0.0.1"),
            st.lists(st.integers(), max_size=2),
        )
        objects = st.dictionaries(
            st.one_of(st.sampled_from(KEYS.split()), st.text(max_size=4)), values, max_size=8
        )
        texts = st.one_of(objects, st.lists(objects, max_size=3)).map(json.dumps)
        everywhere(texts)(lambda text: self.check(text, kind="ha.json"))()  # type: ignore[call-arg]

    def test_any_text(self) -> None:
        """Any text, of which nobody says what it is."""
        everywhere(st.text(max_size=200))(lambda text: self.check(text, kind=None))()  # type: ignore[call-arg]

    def test_toml(self) -> None:
        """A text is in the file what it was."""

        def same(text: str) -> None:
            self.assertEqual(tomllib.loads(f"a = {value([text])}"), {"a": [text]})

        everywhere(st.text(st.characters(codec="utf-8"), max_size=40))(same)()  # type: ignore[call-arg]
