"""Tests of the request log, module by module."""
