"""The tests: unit, property, wire, functional, peers, and the house rules."""
