"""Side-by-side measurements of WSGI servers that anyone can repeat: `python -m benchmarks`.

The driver needs the standard library alone, and `wrk` on the path. What it measures is described in `scenarios.py`, how
each server is started in `servers.py`. Interleaved rounds and medians, because a machine's speed drifts.
"""
