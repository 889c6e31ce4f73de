"""Settings that follow from others."""

from pathlib import Path

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


def test_a_machine_that_has_joined_takes_the_settings_of_the_first(tmp_path: Path) -> None:
    (tmp_path / "joined").write_text("MACHINE=far\nMANAGER=192.0.2.1\nCELERY_QUEUES=heavy\nMAX_DELIVERIES=9\n")
    said = run(
        ["bash", "-c", "source ./settings.sh; echo $CELERY_CONTAINER $CELERY_QUEUES $MAX_DELIVERIES $CELERY_PREFETCH"],
        env={"SECRETS_DIR": str(tmp_path), "PREFIX": "my", "MAX_DELIVERIES": "2", "CELERY_PREFETCH": "3"},
    )
    assert said.stdout.split() == ["my_celery_container_far", "heavy", "9", "3"]
