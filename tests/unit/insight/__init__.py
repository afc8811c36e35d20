"""Tests of what the server says about itself."""
