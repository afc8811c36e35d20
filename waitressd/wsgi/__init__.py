"""PEP 3333 as code: a request becomes an environ and a call, what the application returns becomes writes.

Knows the HTTP layer and the standard library; no socket, no selector.
"""
