"""The configuration side, module by module."""
