"""Threads: who polls, who runs requests, who waits, and who sees to it that nobody waits for a task that blocks.

Knows connections only as what has something to say and jobs as what may block; knows nothing of WSGI or of settings.
"""
