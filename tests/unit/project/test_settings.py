"""Settings that follow from others."""

import pytest

from tests.support.stack import run


@pytest.mark.parametrize(
    ("settings", "tls"),
    [
        ({}, "off"),
        ({"BIND_ADDRESS": "127.0.0.1"}, "off"),
        ({"BIND_ADDRESS": "127.9.9.9"}, "off"),
        ({"BIND_ADDRESS": "localhost"}, "off"),
        ({"BIND_ADDRESS": "::1"}, "off"),
        ({"BIND_ADDRESS": "0.0.0.0"}, "on"),
        ({"BIND_ADDRESS": "192.168.1.27"}, "on"),
        ({"BIND_ADDRESS": "0.0.0.0", "TLS": "off"}, "off"),
        ({"TLS": "on"}, "on"),
        ({"TLS_CERT": "cert.pem"}, "on"),
        ({"TLS_CERT": "cert.pem", "TLS": "off"}, "off"),
    ],
)
def test_tls_is_on_where_other_machines_can_come(settings: dict[str, str], tls: str) -> None:
    unset = dict.fromkeys(("BIND_ADDRESS", "TLS", "TLS_CERT"), "")
    assert run(["bash", "-c", "source ./settings.sh; echo $TLS"], env=unset | settings).stdout.strip() == tls
