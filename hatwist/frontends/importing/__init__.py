"""
From the configuration of another program to one of hatwist: text in, a draft and notes out.

    keepalived.conf                    C{keepalived}
    ha.cf, haresources, authkeys       C{heartbeat}: Heartbeat, version 1
    interfaces(5) with ucarp-...       C{ucarp}
    ha.json                            C{hajson}

C{kinds} tells them apart, C{merging} makes one draft of several hosts' files, C{toml} writes it. Nothing here reads
files or prints: L{hatwist.frontends.cli.importing} does.
"""

KINDS = ("keepalived", "heartbeat", "ucarp", "ha.json")
"""What can be imported."""
