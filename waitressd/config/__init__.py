"""Configuration: text or Python values in, one frozen `Adjustments` out.

Nothing here resolves a host name, opens a socket, starts a thread or changes the process. The only files read are the
ini files themselves.
"""
