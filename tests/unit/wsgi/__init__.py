"""Tests of waitressd.wsgi, module by module."""
