"""What a start advises: what the configuration and this process are, and what is worth a line of the log about them."""

from waitressd.config.adjustments import Adjustments
from waitressd.config.advice import advise, log_advice
from waitressd.config.advicerules import Facts, Machine
from waitressd.config.reading import Hidden
from waitressd.config.tlsadvice import ServedCertificate
from waitressd.fleet.cores import find_cores
from waitressd.logfiles import unshared_handlers


def log_start_advice(
    adjustments: Adjustments, hidden: tuple[Hidden, ...] = (), certificates: tuple[ServedCertificate, ...] = ()
) -> None:
    """Log what is unwise about a start. Logging is set up; `hidden` are values that others hide."""
    facts = Facts(
        adjustments,
        hidden,
        Machine(cores=find_cores().workers),
        unshared_handlers=unshared_handlers(),
        certificates=certificates,
    )
    log_advice(advise(facts, only_at_start=True))
