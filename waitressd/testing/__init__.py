"""Servers for the tests of an application: ``with waitressd.testing.serve(application) as server: ... server.url``.

For pytest there is the fixture `waitressd_server` in `waitressd.testing.plugin`, and for Django's live servers
`waitressd.testing.django`. Only tests import this package.
"""

from waitressd.testing.server import TestServer, serve

__all__ = ["TestServer", "serve"]
