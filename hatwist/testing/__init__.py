"""
A cluster in one process, on a simulated LAN, for tests: ours, and those of services built on hatwist.

    >>> from hatwist.testing import Simulation
    >>> sim = Simulation(seed=1)
    >>> for name, priority in (("alpha", 200), ("beta", 100)):
    ...     sim.start(name, priority=priority)
    >>> sim.run(1.0)
    >>> sim.holders()
    ['alpha']
    >>> sim.kill("alpha")
    >>> sim.run(0.4)
    >>> sim.holders()
    ['beta']
"""

from hatwist.testing.simulation import Simulation

__all__ = ["Simulation"]
