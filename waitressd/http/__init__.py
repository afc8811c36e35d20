"""HTTP/1.1 as values: bytes in, events out; no socket, no thread, no clock, no log.

`connection.Connection` is the way in; everything else in this package is what it is made of.
"""
