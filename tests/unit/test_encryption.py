"""What a server has of TLS, or has not."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.pki import Pki
from waitressd.config.adjustments import Adjustments
from waitressd.config.errors import ConfigError
from waitressd.encryption import NothingToRenew, open_certificates, renewal_of, served_certificates
from waitressd.renewal import Renewal


def test_with_certificates(tmp_path: Path) -> None:
    adjustments = Adjustments.from_keywords(**Pki(tmp_path).issue("shop.example").settings)
    certificates = open_certificates(adjustments)
    assert [served.own.name for served in served_certificates(certificates)] == ["shop.example"]
    assert isinstance(renewal_of(adjustments, certificates), Renewal)


def test_without_any() -> None:
    adjustments = Adjustments.from_keywords()
    assert open_certificates(adjustments) is None
    assert served_certificates(None) == ()
    renewal = renewal_of(adjustments, None)
    assert isinstance(renewal, NothingToRenew)
    renewal.ask()
    renewal.look_if_asked()
    renewal.on_tick(1e12)
    renewal.join()
    assert renewal.figures() == {}


def test_a_wrong_start_names_the_setting(tmp_path: Path) -> None:
    adjustments = Adjustments.from_keywords(tls_certificate=f"{tmp_path}/a.pem", listen="*:443")
    with pytest.raises(ConfigError) as caught:
        open_certificates(adjustments)
    assert str(caught.value).startswith(f"tls_certificate = {tmp_path}/a.pem: there is no such file; ")


def test_a_plain_server_imports_nothing_of_it() -> None:
    program = (
        "import sys; from waitressd.server import create_server\n"
        "create_server(lambda environ, start_response: [], listen='127.0.0.1:0').close()\n"
        "print([name for name in sys.modules if name in ('ssl', '_ssl') or name.startswith('waitressd.') "
        "and name.rpartition('.')[2] in ('certificates', 'certificatefiles', 'x509', 'renewal', 'redirect', 'tls')])"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
