"""Tests of the adapters for web frameworks."""
