"""``waitressd convert``: the configuration of another server, written as a ``[server:main]`` section.

Reads gunicorn's file, section and command line, uWSGI's ini and command line, and those of waitress. Nothing is run and
nothing but the named file is read.
"""
