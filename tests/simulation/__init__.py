"""The real dispatcher, channels, role and task pool on a simulated machine; `python -m tests.simulation --seeds N`.

Threads, locks, clock, poller, sockets and the disk are models of the operating system. Which thread goes on, how a read
is split, when a client resets: everything follows from one seed, so a failure has a number and comes back.
"""
