"""Worker processes: a master that watches, a template that has loaded the application, and workers that serve.

The layer above the server; nothing below knows of processes. `plan.py` decides, `master.py` does; `template.py` and
`worker.py` are the other two processes, and `link.py` is how they talk.
"""
