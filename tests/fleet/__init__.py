"""A fleet under load, reloaded, broken, killed and repaired at random: `python -m tests.fleet --minutes N --seed S`.

`python -m tests.fleet.level` runs the scenarios that a release must pass, and prints their figures.
"""
