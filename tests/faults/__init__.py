"""Faults against a real server process with default settings, and what they cost: `python -m tests.faults`."""
