"""Tests of the files that the manual has for those who watch servers."""
