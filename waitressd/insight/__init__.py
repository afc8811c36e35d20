"""Insight: what the server says about itself, on an address of its own (`admin_listen`), and to whom.

A thread of its own answers, so it does while every thread of the application hangs. Nothing of it is imported by a
server without such an address.
"""
