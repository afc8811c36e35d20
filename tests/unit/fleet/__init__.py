"""The threads' side, module by module."""
