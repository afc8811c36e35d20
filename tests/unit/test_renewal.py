"""Renewed certificates: taken when they are good, looked at again when somebody may be writing, refused once."""

import logging
import ssl
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.pki import Files, Pki
from tests.support.waiting import wait_until
from waitressd.config.adjustments import Adjustments
from waitressd.encryption import open_certificates
from waitressd.renewal import DAY_SECONDS, Renewal

if TYPE_CHECKING:
    from waitressd.certificates import Certificates


class Site:
    """A site with one certificate, and the renewal of it; its clock is the test's."""

    def __init__(self, folder: Path, caplog: pytest.LogCaptureFixture, **settings: str) -> None:
        self.pki = Pki(folder)
        self.files = self.pki.issue("shop.example", stem="shop")
        self.adjustments = Adjustments.from_keywords(**self.files.settings, **settings)
        certificates = open_certificates(self.adjustments)
        assert certificates is not None
        self.certificates: Certificates = certificates
        self.today = datetime.now(UTC)
        self.renewal = Renewal(self.adjustments, self.certificates, lambda: self.today)
        self.start = time.monotonic()
        self.log = caplog
        caplog.set_level(logging.DEBUG, "waitressd")

    def issue(self, **options: float) -> Files:
        """Write a new pair in the place of the old one."""
        return self.pki.issue("shop.example", stem="shop", **options)

    def tick(self, seconds: float) -> None:
        """Let it be so many seconds after the start."""
        self.renewal.on_tick(self.start + seconds)
        self.renewal.join()

    def ask(self) -> None:
        self.renewal.ask()
        self.renewal.look_if_asked()

    @property
    def serial(self) -> int:
        return self.certificates.loaded.served[0].own.serial

    def said(self, level: int) -> list[str]:
        """Return what was said since the last time."""
        lines = [
            record.getMessage()
            for record in self.log.records
            if record.levelno == level and "W123" not in record.getMessage()
        ]
        self.log.clear()
        return lines


@pytest.fixture
def site(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Site:
    return Site(tmp_path, caplog)


def test_a_good_one_is_taken_at_the_next_look(site: Site) -> None:
    before, context = site.serial, site.certificates.context
    site.issue()
    site.tick(59)
    assert (site.serial, site.certificates.context) == (before, context)
    site.tick(61)
    assert site.serial != before
    assert site.certificates.context is not context
    (line,) = site.said(logging.INFO)
    own = site.certificates.loaded.served[0].own
    assert line == f"new certificate for shop.example until {own.not_after:%Y-%m-%d}, serial {own.serial:x}"
    assert site.renewal.counts == {"renewed": 1, "refused": 0}


def test_a_signal_has_it_looked_at_at_once(site: Site) -> None:
    before = site.serial
    site.issue()
    site.renewal.look_if_asked()
    assert site.serial == before
    site.ask()
    assert site.serial != before


def test_files_that_are_what_they_were_change_nothing(site: Site) -> None:
    context = site.certificates.context
    content = site.files.certificate.read_bytes()
    site.tick(61)
    site.files.certificate.write_bytes(content)
    site.tick(122)
    site.ask()
    assert site.certificates.context is context
    assert site.said(logging.INFO) == []
    assert site.renewal.counts["renewed"] == 0


def test_a_link_that_leads_elsewhere_is_a_renewal(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    site = Site(tmp_path, caplog)
    for file in (site.files.certificate, site.files.key):
        moved = file.rename(file.with_name("one-" + file.name))
        file.symlink_to(moved)
    renewed = site.pki.issue("shop.example", stem="two")
    before = site.serial
    for file, target in ((site.files.key, renewed.key), (site.files.certificate, renewed.certificate)):
        file.unlink()
        file.symlink_to(target)
    site.tick(61)
    assert site.serial != before


@pytest.mark.parametrize("first", ["key", "certificate"])
def test_files_that_are_written_one_after_the_other(site: Site, first: str) -> None:
    before = site.serial
    old = {path: path.read_bytes() for path in (site.files.key, site.files.certificate)}
    new_files = site.issue()
    late = new_files.certificate if first == "key" else new_files.key
    content = late.read_bytes()
    late.write_bytes(old[late])
    site.tick(61)
    assert site.serial == before
    late.write_bytes(content)
    site.tick(61.5)
    assert site.serial == before
    site.tick(62.5)
    assert site.serial != before
    assert site.said(logging.ERROR) == []


def bad_pair(site: Site) -> None:
    site.files.key.write_bytes(site.pki.issue("other.example").key.read_bytes())


def test_a_bad_one_is_refused_by_one_line(site: Site) -> None:
    before = site.serial
    bad_pair(site)
    for seconds in (61, 62.1, 66.1, 80):
        site.tick(seconds)
        assert site.said(logging.ERROR) == []
    site.tick(86.1)
    (line,) = site.said(logging.ERROR)
    until = site.certificates.loaded.served[0].own.not_after
    assert line.startswith(
        f"{site.files.key} and {site.files.certificate} cannot be used, and the certificate for shop.example until "
        f"{until:%Y-%m-%d} stays in use: {site.files.key}: the key does not belong to the certificate"
    )
    for seconds in (121, 182, 3600, DAY_SECONDS):
        site.tick(seconds)
    site.ask()
    assert site.said(logging.ERROR) == []
    assert (site.serial, site.renewal.counts["refused"]) == (before, 1)
    site.tick(86.1 + DAY_SECONDS)
    assert len(site.said(logging.ERROR)) == 1


def test_who_asks_is_answered_soon(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    now = site.start + 10
    monkeypatch.setattr("waitressd.renewal.time.monotonic", lambda: now)
    bad_pair(site)
    site.ask()
    assert site.said(logging.ERROR) == []
    site.tick(10.5)
    assert site.said(logging.ERROR) == []
    site.tick(11.1)
    assert len(site.said(logging.ERROR)) == 1
    site.issue()
    site.tick(15.1)  # whoever writes may have been slower
    assert site.renewal.counts["renewed"] == 1


@pytest.mark.parametrize("what", ["empty", "half", "DER", "missing", "expired", "too early"])
def test_whatever_is_bad_the_old_one_stays(site: Site, what: str) -> None:
    before, context = site.serial, site.certificates.context
    files, content = site.files, site.files.certificate.read_bytes()
    match what:
        case "empty":
            files.certificate.write_bytes(b"")
        case "half":
            files.certificate.write_bytes(content[: len(content) // 2])
        case "DER":
            files.certificate.write_bytes(ssl.PEM_cert_to_DER_cert(content.decode()))
        case "missing":
            files.certificate.unlink()
        case "expired":
            site.issue(days=-1, age_days=10)
        case _:
            site.issue(age_days=-2)
    for seconds in range(61, 200):
        site.tick(seconds)
    (line,) = site.said(logging.ERROR)
    assert str(files.certificate) in line
    assert str(files.key) in line
    assert (site.serial, site.certificates.context) == (before, context)
    site.issue()
    site.tick(300)
    assert site.serial != before


def test_a_second_bad_one_is_told_as_well(site: Site) -> None:
    site.files.certificate.write_bytes(b"no PEM")
    site.tick(61)
    site.files.certificate.write_bytes(b"no PEM either")
    site.tick(122)
    assert len(site.said(logging.ERROR)) == 2


def test_one_that_has_expired_itself_may_be_replaced_by_any(site: Site) -> None:
    before = site.serial
    site.issue(days=50)
    site.today += timedelta(days=100)
    site.tick(61)
    assert site.serial != before
    assert any("W120" in line for line in site.said(logging.ERROR))


def test_every_day_the_log_says_what_is_unwise(site: Site) -> None:
    site.tick(DAY_SECONDS - 1)
    assert site.said(logging.WARNING) == []
    site.today += timedelta(days=80)
    site.tick(DAY_SECONDS + 1)
    (line,) = site.said(logging.WARNING)
    assert line.startswith("W121 the certificate of shop.example in ")
    site.today += timedelta(days=20)
    site.tick(2 * DAY_SECONDS + 2)
    (line,) = site.said(logging.ERROR)
    assert line.startswith("W120 ")


def test_looks_can_be_turned_off(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    site = Site(tmp_path, caplog, tls_reload_interval="0")
    before = site.serial
    site.issue()
    site.tick(10_000)
    assert site.serial == before
    site.ask()
    assert site.serial != before


def test_a_defect_does_not_end_the_looks(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_adjustments: Adjustments) -> None:
        raise LookupError

    with monkeypatch.context() as patch:
        patch.setattr("waitressd.renewal.load", fail)
        site.issue()
        site.tick(61)
        assert site.said(logging.ERROR) == ["the certificate files could not be looked at"]
    before = site.serial
    site.tick(62 + 25)
    assert site.serial != before


def test_looks_are_taken_in_a_thread_of_their_own(site: Site) -> None:
    with site.renewal._lock:
        site.renewal.on_tick(site.start + 61)
        site.renewal.on_tick(site.start + 62)  # never waits
        names = [thread.name for thread in threading.enumerate()]
        assert names.count("waitressd-certificates") == 1
    assert wait_until(lambda: not any(thread.name == "waitressd-certificates" for thread in threading.enumerate()))


def test_figures_for_metrics(site: Site) -> None:
    own = site.certificates.loaded.served[0].own
    assert site.renewal.figures() == {
        "certificate_ends": {"shop.example": own.not_after.timestamp()},
        "reloads": {"renewed": 0, "refused": 0},
    }
