"""Certificates that are renewed while the server runs: noticed, looked through, and used or refused.

An ACME client writes its files one by one, so for a moment a key is there without its certificate. What looks wrong is
therefore looked at again after some seconds, and only then said. A bad certificate never takes the place of a good one.

Knows files, settings and the clock. Imported only where TLS is configured.
"""

import contextlib
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from waitressd.certificatefiles import CertificateError, Mark, mark_of
from waitressd.certificates import Certificates, CertificatesError, Loaded, load
from waitressd.config.adjustments import Adjustments
from waitressd.config.advice import advise, log_advice
from waitressd.config.advicerules import Facts
from waitressd.config.tlsadvice import day
from waitressd.operatorlog import operator_log

SETTLE_SECONDS: Final = (1.0, 5.0, 25.0)
"""When files that look wrong are looked at again, counted from the first time."""
PATIENCE_SECONDS: Final = 25.0  # before it is said
ASKED_PATIENCE_SECONDS: Final = 1.0  # the same where somebody has said that the files are there
DAY_SECONDS: Final = 86400.0
_JOIN_SECONDS: Final = 2.0
_NEVER: Final = float("inf")

_logger: Final = logging.getLogger("waitressd.tls")


class Renewal:
    """Looks after the certificates of one server, as `encryption.Renews` has it.

    Threads that look take turns by a lock; `ask` and `on_tick` never wait for it.
    `wall_clock` says which day it is; times given as `now` are monotonic seconds.
    """

    def __init__(
        self,
        adjustments: Adjustments,
        certificates: Certificates,
        wall_clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._adjustments = adjustments
        self._certificates = certificates
        self._wall_clock = wall_clock
        self._lock = threading.Lock()  # guards what follows, but for the next two
        self._requests = 0
        self._thread: threading.Thread | None = None
        self.counts: Counter[str] = Counter(renewed=0, refused=0)
        """How many times the files were taken, and how many times not. Any thread may read it."""
        now = time.monotonic()
        self._look_at = now + adjustments.tls_reload_interval if adjustments.tls_reload_interval else _NEVER
        self._advise_at = now + DAY_SECONDS
        self._judged = certificates.loaded.marks  # what the last word was about
        self._forget_failure()

    def _forget_failure(self) -> None:
        self._failed: dict[str, Mark | None] = {}  # the files that look wrong, empty when none do
        self._failed_at = self._said_at = _NEVER  # when they did first, and when that was said
        self._again_at = _NEVER  # when they are looked at again
        self._patience_seconds = PATIENCE_SECONDS

    def figures(self) -> dict[str, Any]:
        """Return what metrics show of the certificates. Any thread."""
        ends = {each.own.name: each.own.not_after.timestamp() for each in reversed(self._certificates.loaded.served)}
        return {"certificate_ends": ends, "reloads": dict(self.counts)}

    # -- when: the thread inside Server.run, and whoever asks

    def ask(self) -> None:
        """Have the files looked at by `look_if_asked`. Safe in a signal handler: nothing is done here."""
        self._requests += 1

    def on_tick(self, now: float) -> None:
        """Look at the files when it is time to, in a thread of its own: a disk may not answer."""
        if now < min(self._look_at, self._again_at, self._advise_at):
            return
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._work, args=(now,), name="waitressd-certificates", daemon=True)
            with contextlib.suppress(RuntimeError):  # there are too many threads at the moment
                self._thread.start()

    def join(self) -> None:
        """Wait a moment for a look that goes on."""
        if self._thread is not None and self._thread.is_alive():
            self._thread.join(_JOIN_SECONDS)

    def look_if_asked(self) -> None:
        """Look at the files if `ask` was called since the last time. Any thread."""
        if self._requests:
            self._requests = 0
            with self._lock:
                self._patience_seconds = ASKED_PATIENCE_SECONDS
                self._look(time.monotonic())

    def _work(self, now: float) -> None:
        with self._lock:
            try:
                if now >= self._look_at:
                    self._look_at = now + self._adjustments.tls_reload_interval
                    if now >= self._again_at or self._marks() not in (self._judged, self._failed):
                        self._look(now)
                elif now >= self._again_at:
                    self._look(now)
                if now >= self._advise_at:
                    self._advise_at = now + DAY_SECONDS
                    self._advise()
            except Exception:  # border: a defect here must not end the looks; handlers of logging are anybody's
                self._again_at = now + SETTLE_SECONDS[-1]
                operator_log.say(_logger, logging.ERROR, "the certificate files could not be looked at", error=True)

    # -- what: under the lock

    def _marks(self) -> dict[str, Mark | None]:
        return {path: mark_of(path) for path in self._certificates.loaded.marks}

    def _look(self, now: float) -> None:
        marks = self._marks()
        try:
            loaded = load(self._adjustments)
        except CertificatesError as error:
            self._refuse(error.errors, marks, now)
            return
        if errors := list(self._steps_back(loaded)):
            self._refuse(errors, marks, now)
        else:
            self._take(loaded)

    def _steps_back(self, loaded: Loaded) -> Iterator[CertificateError]:
        """Find certificates that clients would refuse, in the place of such that they accept."""
        now = self._wall_clock()
        for old, new in zip(self._certificates.loaded.served, loaded.served, strict=True):
            if not old.own.not_before <= now < old.own.not_after:
                continue
            if new.own.not_after <= now:
                text = f"it has expired on {day(new.own.not_after)}; put the new one there"
                yield CertificateError("tls_certificate", new.path, text)
            elif new.own.not_before > now:
                text = f"it is valid from {day(new.own.not_before)} on; is the clock right?"
                yield CertificateError("tls_certificate", new.path, text)

    def _take(self, loaded: Loaded) -> None:
        former = self._certificates.loaded
        self._judged = loaded.marks
        self._forget_failure()
        if loaded.digests == former.digests:
            operator_log.say(_logger, logging.DEBUG, "the certificate files are what they were")
            return
        self._certificates.loaded = loaded
        self.counts["renewed"] += 1
        changed = [new for old, new in zip(former.served, loaded.served, strict=True) if new.own.der != old.own.der]
        for each in changed:
            text = "new certificate for %s until %s, serial %x"
            operator_log.say(_logger, logging.INFO, text, each.own.name, day(each.own.not_after), each.own.serial)
        if not changed:
            operator_log.say(_logger, logging.INFO, "new certificate files; the certificates themselves are the same")
        self._advise()

    def _advise(self) -> None:
        facts = Facts(self._adjustments, certificates=self._certificates.loaded.served, now=self._wall_clock())
        log_advice(advise(facts, only_at_start=True, only_of_files=True))

    def _refuse(self, errors: Sequence[CertificateError], marks: dict[str, Mark | None], now: float) -> None:
        if marks != self._failed:
            self._failed, self._failed_at, self._said_at = marks, now, _NEVER
        waited = now - self._failed_at
        is_said = now < self._said_at + DAY_SECONDS if self._said_at != _NEVER else False
        if not is_said and (waited >= self._patience_seconds or not all(error.may_pass for error in errors)):
            self._said_at = now
            self.counts["refused"] += 1
            operator_log.say(_logger, logging.ERROR, "%s", self._refusal(errors))
        else:
            operator_log.say(_logger, logging.DEBUG, "looking again soon: %s", "; ".join(map(str, errors)))
        later = [self._failed_at + step for step in SETTLE_SECONDS if step > waited]
        self._again_at = later[0] if later else self._said_at + DAY_SECONDS

    def _refusal(self, errors: Sequence[CertificateError]) -> str:
        adjustments = self._adjustments
        pairs = list(zip(adjustments.tls_certificate, adjustments.tls_key, strict=False))
        paths = [error.path for error in errors]
        paths += [path for pair in pairs if set(pair) & set(paths) for path in pair]
        served = self._certificates.loaded.served
        old = next((each for each in served if each.path in paths), served[0]).own
        what = "; ".join(f"{error.path}: {error.text}" for error in errors)
        return (
            f"{' and '.join(dict.fromkeys(paths))} cannot be used, and the certificate for {old.name} until "
            f"{day(old.not_after)} stays in use: {what}"
        )
