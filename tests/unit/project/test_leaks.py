"""The search for secrets: it finds them in each kind of file, and however they are written."""

import base64
import json
import secrets
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.support.leaks import Search, secrets_in

#: Ways to write a secret.
WRITTEN: dict[str, Callable[[str], str]] = {
    "as it is": lambda secret: secret,
    "in JSON": lambda secret: json.dumps({"password": secret}),
    "in an address": lambda secret: f"amqp://user:{quote(secret, safe='')}@host",
    "in a path": quote,
    "in hexadecimal": lambda secret: secret.encode().hex(),
    "in Base64": lambda secret: base64.b64encode(secret.encode()).decode(),
    "in Base64, after one byte": lambda secret: base64.b64encode(f":{secret}@host".encode()).decode(),
    "in Base64, after two bytes": lambda secret: base64.b64encode(f"a:{secret}@host".encode()).decode(),
    "in Base64, after three bytes": lambda secret: base64.b64encode(f"ab:{secret}@host".encode()).decode(),
    "in Base64 for addresses": lambda secret: base64.urlsafe_b64encode(f"?>{secret}".encode()).decode(),
}


@pytest.mark.parametrize("way", WRITTEN)
def test_the_search_finds_a_secret_however_it_is_written(way: str) -> None:
    written = WRITTEN[way]
    for _ in range(50):
        secret = base64.b64encode(secrets.token_bytes(24)).decode()
        searching = Search({"it": secret, "another": secrets.token_urlsafe(24)})
        text = b"\xff\n before " + written(secret).encode() + b" after \0"
        assert searching.text(text) == {"it"}
        assert searching.text(text.replace(written(secret)[8:].encode(), b"")) == set()


def test_the_search_reads_each_kind_of_file(tmp_path: Path) -> None:
    lines = [secrets.token_urlsafe(24) for _ in range(9)]
    (tmp_path / "tools").mkdir()
    users = [{"name": "one", "password_hash": lines[0]}, {"name": "two", "password_hash": lines[1]}]
    files = {
        "rabbitmq_definitions.json": json.dumps({"users": users}),
        "worker_password": lines[2] + "\n",
        "session_keys": f"{lines[3]}\n{lines[4]}\n",
        "tools/flower": f"operator:{{SSHA}}{lines[5]}\n",
        "database_url": f"postgresql+psycopg://warren:{lines[6]}@host/warren\n",
        "notify_url": f"https://host/path?token={lines[7]}\n",
        "tls.pem": f"-----BEGIN CERTIFICATE-----\nno secret at all\n-----END CERTIFICATE-----\n"
        f"-----BEGIN PRIVATE KEY-----\n{lines[8]}\n-----END PRIVATE KEY-----\n",
        ".stack": "a name that is long enough\n",
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    expected = [*lines[:5], f"{{SSHA}}{lines[5]}", lines[6], f"token={lines[7]}", lines[8]]
    assert sorted(secrets_in(tmp_path).values()) == sorted(expected)
    (tmp_path / "database_url").write_text("sqlite:////db/backend.db\n")
    assert not any(name.startswith("database_url") for name in secrets_in(tmp_path))


def test_the_search_finds_a_secret_in_what_a_command_writes() -> None:
    secret = secrets.token_urlsafe(24)
    searching = Search({"it": secret, "another": secrets.token_urlsafe(24)})
    much = "head --bytes 100000000 /dev/zero; printf 'user:%s' \"$0\" | base64 --wrap 0; head --bytes 1000000 /dev/zero"
    assert searching.output("bash", "-c", much, secret) == {"it"}
    assert searching.output("bash", "-c", much, secret[2:]) == set()
