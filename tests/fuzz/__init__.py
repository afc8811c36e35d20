"""Inputs that nobody thought of, found by following the coverage of those that somebody did."""
