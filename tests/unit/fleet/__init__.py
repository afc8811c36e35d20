"""Tests of the processes and of what is around them."""
