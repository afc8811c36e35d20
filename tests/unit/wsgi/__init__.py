"""The PEP 3333 side, module by module."""
