"""What is to be said of the directives of Heartbeat's ha.cf that are not carried over, or not needed."""

from __future__ import annotations

from hatwist.frontends.importing.keywords import Saying

_LOG = Saying(
    False, "not needed: it logs as every twistd does, to the journal where systemd runs it"
)
_PROTOCOL = Saying(False, "not needed: it is about Heartbeat's own packets and processes")
_STONITH = Saying(
    True,
    "no host switches another one off here: a holder that dies, hangs or is cut off releases by itself; "
    'the documentation on fencing says how far that goes, and what quorum = "majority" adds',
)
_CRM = Saying(
    True,
    "what Pacemaker manages is not in haresources: import describes only what is; write the rest by hand",
)

READ = {
    *("node", "bcast", "mcast", "ucast", "keepalive", "deadtime", "auto_failback", "nice_failback"),
    *("udpport", "ping", "ping_group", "respawn", "cluster", "crm", "serial"),
}
SAID = {
    **dict.fromkeys(
        (
            "debugfile",
            "logfile",
            "logfacility",
            "use_logd",
            "conn_logd_time",
            "debug",
            "syslogmsgfmt",
        ),
        _LOG,
    ),
    **dict.fromkeys(
        (
            *("apiauth", "hopfudge", "hbgenmethod", "realtime", "rtprio", "msgfmt", "uuidfrom"),
            *("compression", "compression_threshold", "traditional_compression", "coredumps"),
            *("autojoin", "memreserve", "baud", "rt_priority", "max_rexmit_delay", "hbversion"),
        ),
        _PROTOCOL,
    ),
    **dict.fromkeys(("stonith", "stonith_host"), _STONITH),
    "crm": _CRM,
    "pacemaker": _CRM,
    "deadping": Saying(False, "the witness has the tolerance of the heartbeats"),
    "hbaping": Saying(True, "a Fibre Channel card cannot be the witness: give an IP address"),
    "initdead": Saying(
        True,
        "a node that starts listens for one tolerance; where the network takes longer to come up, let the unit of the "
        "service start after network-online.target",
    ),
    "serial": Saying(
        True, "heartbeats do not travel on serial lines: give another network interface"
    ),
    "warntime": Saying(
        False, "not needed: heartbeats that are late are counted and told by themselves"
    ),
    "watchdog": Saying(True, "set WatchdogSec= in the unit of the service"),
    "udpport": Saying(
        False, 'UDP port 5555 is used; for another one write multicast = "239.2.3.4:PORT"'
    ),
}
DIRECTIVES = {*READ, *SAID}

AGENTS = {
    *("apache", "AudibleAlarm", "db2", "Delay", "drbddisk", "Filesystem", "ICP", "ids", "IPaddr"),
    *("IPaddr2", "IPsrcaddr", "IPv6addr", "ldirectord", "LinuxSCSI", "LVM", "LVSSyncDaemonSwap"),
    *("MailTo", "OCF", "portblock", "Raid1", "SendArp", "ServeRAID", "WAS", "WinPopup", "Xinetd"),
}
"""The scripts that Heartbeat itself had, in /etc/ha.d/resource.d."""
