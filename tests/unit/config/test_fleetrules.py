"""Settings of worker processes that contradict each other."""

import pytest

from waitressd.config.adjustments import Adjustments
from waitressd.config.errors import ConfigError
from waitressd.config.fleetrules import OF_A_MASTER


@pytest.mark.parametrize("name", OF_A_MASTER)
def test_what_a_master_follows_needs_one(name: str) -> None:
    given = {name: "64M" if name == "worker_max_memory" else "100"}
    with pytest.raises(ConfigError, match=f"{name} = .*: has no meaning while supervise is off"):
        Adjustments.from_strings(given | {"supervise": "no"})
    Adjustments.from_strings(given | {"supervise": "yes"})
    Adjustments.from_strings(given)
    if name != "worker_boot_timeout":
        Adjustments.from_strings({name: "0", "supervise": "no"})


def test_several_workers_need_a_master() -> None:
    with pytest.raises(ConfigError, match="only a master can look after several workers"):
        Adjustments.from_keywords(workers=2, supervise=False)


def test_a_size_that_misses_its_unit_is_noticed() -> None:
    with pytest.raises(
        ConfigError, match="is 512 bytes, and every worker has more; expected a size such as 512M, or 0"
    ):
        Adjustments.from_keywords(worker_max_memory=512)


def test_requests_that_are_limited_are_counted() -> None:
    assert Adjustments.from_keywords(worker_max_requests=1000).counts_requests
    assert not Adjustments.from_keywords().counts_requests
    with pytest.raises(ConfigError, match="cannot be followed while metrics is off: nothing is counted"):
        Adjustments.from_keywords(worker_max_requests=1000, metrics="off")
