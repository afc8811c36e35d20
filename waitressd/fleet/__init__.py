"""A fleet: several processes that run one application, and the master that looks after them.

It lies above `server`: nothing below knows of it, and `workers = 1` never comes here.
"""
