"""The whole server: real sockets, real processes, real frameworks."""
