"""
hatwist keeps shared IP addresses alive when a Linux host dies.

Programs import from L{hatwist.api}. The rooms, each of which knows those before it only:

    core         what all protocols share: values, tables, the interface of a machine, the loop
    protocols    what is on the wire, and who decides by it
    testing      a cluster in one process, on a simulated LAN
    linux        the kernel: netlink, the LAN, the guard
    resources    what can be held
    checks       what makes a node fit or unfit
    runtime      one node at work: links, driver, keepers, memory
    settings     from words to frozen values
    service      HAService, and what its node is made of
    frontends    twistd's command, hatwist, the control socket, HTTP, imports of other programs' files
    lab          a LAN of network namespaces, its faults and its judge
"""

__version__ = "0.1.0"
