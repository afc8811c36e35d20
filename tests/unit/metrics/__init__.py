"""Tests of the metrics, module by module."""
