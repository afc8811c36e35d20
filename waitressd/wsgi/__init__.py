"""PEP 3333 as code: a request becomes an environ and a call, the application's answer becomes writes.

Knows the HTTP layer and the standard library; no socket, no selector.
"""
