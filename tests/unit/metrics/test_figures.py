"""What is said of a process: a value."""

from waitressd.metrics.figures import Figures


def test_what_is_not_known_is_none_and_what_nobody_has_counted_is_0() -> None:
    figures = Figures()
    assert (figures.rss_bytes, figures.fds, figures.fd_limit, figures.findings) == (None, None, None, None)
    assert (figures.accepted, figures.connections, figures.delays) == (0, {}, ())
