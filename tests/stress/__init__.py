"""Real threads under a load of well and badly behaved clients; `python -m tests.stress --seconds N --seed S`."""
