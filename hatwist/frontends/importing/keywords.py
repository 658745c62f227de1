"""What is to be said of the words of keepalived.conf that are not carried over, or not needed."""

from __future__ import annotations

from typing import NamedTuple


class Saying(NamedTuple):
    """@ivar lost: it was not carried over, so that something is missing here."""

    lost: bool
    advice: str


def _lost(advice: str) -> Saying:
    return Saying(True, advice)


def _differs(advice: str) -> Saying:
    return Saying(False, advice)


UNKNOWN = _lost("hatwist has nothing that corresponds to it")
_MAIL = _lost('no mails are sent here: let "on" run what sends one, or alert on the metrics')
_ARP = _differs(
    "not needed: a new holder announces each address at once and after 0.1, 0.5, 2 and 5 s, then every 60 s, "
    "and again on every conflict and change of a cable"
)
_KEEP_LVS = "IPVS is not done here: keep keepalived for this part, started with --check so that it does no VRRP"
_PROTOCOL = _differs("not needed: hatwist does not speak VRRP")
_PROCESS = _differs("not needed: it is about keepalived's own processes")
_NETWORK = (
    "set it up where the host's network is: networkd, NetworkManager or /etc/network/interfaces"
)
_STATIC = _lost(f"it does not move, so it is not for hatwist: {_NETWORK}")
_MAC = _lost(
    "there is no virtual MAC here: the address is on the interface itself, and moves to the MAC of the new "
    "holder, which tells the LAN by gratuitous ARP"
)
_STRICT = _differs(
    "not needed: the holder answers on its addresses, as keepalived's does with 'accept'"
)

TOP = {
    "bfd_instance": _lost("there is no BFD here: let heartbeats travel on several links"),
    "child_wait_time": _PROCESS,
    "garp_group": _ARP,
    "instance": _differs("not needed: several clusters can share a host, each with its own name"),
    "interface_up_down_delays": _lost(
        "there is no such delay here: a node without carrier gives its addresses up at once"
    ),
    "linkbeat_interfaces": _differs("not needed: the kernel tells of carriers"),
    "linkbeat_use_polling": _differs("not needed: the kernel tells of carriers"),
    "namespace_with_ipsets": _PROCESS,
    "net_namespace": _lost("start twistd in it: ip netns exec NAME twistd ..."),
    "net_namespace_ipvs": _lost(_KEEP_LVS),
    "static_ipaddress": _STATIC,
    "static_routes": _STATIC,
    "static_rules": _STATIC,
    "track_group": _STATIC,
    "use_pid_dir": _PROCESS,
    "virtual_server": _lost(_KEEP_LVS),
    "virtual_server_group": _lost(_KEEP_LVS),
    "SSL": _lost(_KEEP_LVS),
}

GLOBAL = {
    "notification_email": _MAIL,
    "notification_email_from": _MAIL,
    "smtp_server": _MAIL,
    "smtp_helo_name": _MAIL,
    "smtp_connect_timeout": _MAIL,
    "smtp_alert": _MAIL,
    "smtp_alert_vrrp": _MAIL,
    "smtp_alert_checker": _MAIL,
    "no_email_faults": _MAIL,
    "router_id": _differs("not needed: a node is called by its host's name, or by [node.NAME]"),
    "vrrp_mcast_group4": _PROTOCOL,
    "vrrp_mcast_group6": _PROTOCOL,
    "vrrp_version": _PROTOCOL,
    "vrrp_strict": _STRICT,
    "vrrp_skip_check_adv_addr": _PROTOCOL,
    "vrrp_check_unicast_src": _PROTOCOL,
    "vrrp_lower_prio_no_advert": _PROTOCOL,
    "vrrp_higher_prio_send_advert": _PROTOCOL,
    "vrrp_iptables": _STRICT,
    "vrrp_ipsets": _STRICT,
    "vrrp_nftables": _STRICT,
    "nftables": _STRICT,
    "iptables": _STRICT,
    "vrrp_startup_delay": _differs(
        "not needed: a node that starts listens for one tolerance before it claims anything"
    ),
    "lvs_sync_daemon": _lost(_KEEP_LVS),
    "lvs_timeouts": _lost(_KEEP_LVS),
    "lvs_flush": _lost(_KEEP_LVS),
    "lvs_flush_on_stop": _lost(_KEEP_LVS),
    "lvs_flush_onstop": _lost(_KEEP_LVS),
    "dynamic_interfaces": _lost("an interface of the configuration must exist when hatwist starts"),
    "allow_if_changes": _lost("an interface of the configuration must exist when hatwist starts"),
    "enable_script_security": _differs("not needed: no shell runs any command here"),
    "script_user": _lost(
        "commands run as the user that the service runs as: set User= in its unit"
    ),
    "startup_script": _lost("add ExecStartPre= to the unit of the service"),
    "startup_script_timeout": _lost("add TimeoutStartSec= to the unit of the service"),
    "shutdown_script": _lost("add ExecStopPost= to the unit of the service"),
    "shutdown_script_timeout": _lost("add TimeoutStopSec= to the unit of the service"),
    "enable_traps": _lost("there is no SNMP here: metrics are on /metrics"),
    "enable_snmp_vrrp": _lost("there is no SNMP here: metrics are on /metrics"),
    "enable_snmp_checker": _lost("there is no SNMP here: metrics are on /metrics"),
    "enable_snmp_rfc": _lost("there is no SNMP here: metrics are on /metrics"),
    "enable_dbus": _lost("there is no D-Bus interface here: use hatwist status --json"),
    "snmp_server": _lost("there is no SNMP here: metrics are on /metrics"),
    "notify_fifo": _lost('there is no FIFO here: use "on", or hatwist history'),
    "notify_fifo_script": _lost('there is no FIFO here: use "on", or hatwist history'),
    "vrrp_notify_fifo": _lost('there is no FIFO here: use "on", or hatwist history'),
    "vrrp_notify_fifo_script": _lost('there is no FIFO here: use "on", or hatwist history'),
    "default_interface": _differs("not needed: every address names its interface"),
    **dict.fromkeys(
        (
            *("vrrp_garp_master_delay", "vrrp_garp_master_repeat", "vrrp_garp_lower_prio_delay"),
            *("vrrp_garp_lower_prio_repeat", "vrrp_garp_master_refresh", "vrrp_garp_interval"),
            *("vrrp_garp_master_refresh_repeat", "vrrp_gna_interval", "vrrp_garp_extra_if"),
            "vrrp_min_garp",
        ),
        _ARP,
    ),
    **dict.fromkeys(
        (
            *("process_names", "process_name", "vrrp_process_name", "checker_process_name"),
            *("vrrp_priority", "checker_priority", "vrrp_no_swap", "checker_no_swap"),
            *("vrrp_rt_priority", "vrrp_cpu_affinity", "vrrp_rlimit_rttime", "max_auto_priority"),
            *("tmp_config_directory", "config_save_dir", "umask", "reload_time_file"),
            *("vrrp_rx_bufs_policy", "vrrp_rx_bufs_multiplier", "include_check", "instance"),
        ),
        _PROCESS,
    ),
}

INSTANCE = {
    **dict.fromkeys(
        (
            *("garp_master_delay", "garp_master_repeat", "garp_lower_prio_delay"),
            *("garp_lower_prio_repeat", "garp_master_refresh", "garp_master_refresh_repeat"),
            "garp_extra_if",
        ),
        _ARP,
    ),
    **dict.fromkeys(
        (
            *("version", "native_ipv6", "skip_check_adv_addr", "check_unicast_src"),
            *("lower_prio_no_advert", "higher_prio_send_advert", "old_unicast_checksum"),
            *("unicast_ttl", "unicast_fault_no_peer", "kernel_rx_buf_size", "mcast_dst_ip"),
            *("notify_priority_changes", "debug"),
        ),
        _PROTOCOL,
    ),
    **dict.fromkeys(("accept", "strict_mode"), _STRICT),
    **dict.fromkeys(("use_vmac", "use_vmac_addr", "use_ipvlan", "vmac_xmit_base"), _MAC),
    "no_accept": _lost("the holder answers on its addresses; refuse it in the firewall"),
    "smtp_alert": _MAIL,
    "lvs_sync_daemon_interface": _lost(_KEEP_LVS),
    "linkbeat_use_polling": _differs("not needed: the kernel tells of carriers"),
    "dont_track_primary": _lost(
        "a node without carrier on an interface of its addresses gives them up here"
    ),
    "promote_secondaries": _differs(
        "not needed: an address that the kernel removes with another one is put back at once"
    ),
    "mcast_src_ip": _differs("heartbeats come from the interface's own address"),
    "unicast_src_ip": _differs("heartbeats come from the interface's own address"),
    "track_src_ip": _lost("heartbeats come from the interface's own address"),
    "vrf": _lost("give the interface whose link is in it"),
    "virtual_router_id": _differs("not needed: groups are told apart by name, clusters by theirs"),
    "state": _differs(
        "not needed: every node starts as STANDBY, and the one with the highest priority takes over"
    ),
    "track_file": _lost("write a program that reads the file, and check it: {command = [...]}"),
    "track_bfd": _lost("there is no BFD here: let heartbeats travel on several links"),
    "notify_fault": _lost(
        'there is no such event: use "released", where HATWIST_REASON says why, or alert on the fitness'
    ),
    "notify_stop": _lost('there is no such event: "released" is told of a stop too'),
    "notify_deleted": _lost('there is no such event: "released" is told of that too'),
    "notify_master_rx_lower_pri": _lost('use the event "conflict"'),
}

SYNC = {
    "smtp_alert": _MAIL,
    "global_tracking": _differs("not needed: the members are one group"),
    "sync_group_tracking_weight": _differs("not needed: the members are one group"),
    **{
        key: INSTANCE[key]
        for key in (
            *("track_file", "track_bfd", "notify_fault", "notify_stop", "notify_deleted"),
            "notify_priority_changes",
        )
    },
}
