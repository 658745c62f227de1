"""
From the configuration of another program to one of hatwist: text in, a plan and notes out.

    keepalived.conf                    L{hatwist.migration.keepalived}, read by L{hatwist.migration.braces}
    ha.cf, haresources, authkeys       L{hatwist.migration.linuxha}: Heartbeat, version 1
    interfaces(5) with ucarp-...       L{hatwist.migration.ucarp}
    ha.json                            L{hatwist.migration.hajson}

L{hatwist.migration.kinds} tells them apart, L{hatwist.migration.merging} makes one plan of several hosts' files,
L{hatwist.migration.toml} writes it. Nothing here reads files or prints: L{hatwist.cli.importing} does.
"""

KINDS = ("keepalived", "heartbeat", "ucarp", "ha.json")
"""What can be imported."""
