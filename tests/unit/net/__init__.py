"""The sockets-and-threads side, module by module."""
