"""Sockets and threads: who reads, who writes, who waits.

Knows HTTP connections as values that turn bytes into events and answers into bytes; knows nothing of WSGI,
of settings or of where an application comes from. What it needs of them it declares as protocols.
"""
