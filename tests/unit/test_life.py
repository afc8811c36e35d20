"""Where a server may go in its life."""

from waitressd.life import TRANSITIONS, Life


def test_every_way_leads_to_the_end_and_none_back() -> None:
    assert set(TRANSITIONS) == set(Life)
    for life, following in TRANSITIONS.items():
        assert Life.STOPPED in following
        assert all(after > life or after is Life.STOPPED for after in following)


def test_nobody_stops_accepting_before_it_was_said() -> None:
    assert [life for life, following in TRANSITIONS.items() if Life.DRAINING in following] == [Life.LEAVING]
