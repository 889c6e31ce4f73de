"""TLS: what is spoken, whom clients can trust, and that a renewed certificate is taken up without a gap."""

import json
import os
import ssl
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.stack.test_events import events
from tests.stack.test_scripts import container_ids
from tests.support.clients import asking
from tests.support.stack import PREFIX, Stack, free_port, run, running, wait_until

HOST = "warren.example"
CHALLENGE = "/.well-known/acme-challenge"


@pytest.fixture(scope="module")
def stack(docker_engine: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack that is reached by TLS, and has an authority of its own."""
    folder = tmp_path_factory.mktemp("tls")
    webroot = folder / "webroot"
    (webroot / CHALLENGE[1:]).mkdir(parents=True)
    stack = Stack(f"{PREFIX}_tls", folder, tls=True)
    stack.env |= {"HOSTS": HOST, "HTTP_PORT": str(free_port()), "ACME_DIR": str(webroot)}
    with running(stack) as stack:
        yield stack


@pytest.fixture(scope="module")
def authority(stack: Stack) -> trustme.CA:
    """Somebody else's authority, which the clients trust as well."""
    authority = trustme.CA()
    authority.configure_trust(stack.trust)
    return authority


def served(stack: Stack) -> str:
    """Return the certificate that a new connection gets, as PEM."""
    return ssl.get_server_certificate(("localhost", stack.port))


def write(folder: Path, certificate: trustme.LeafCert) -> dict[str, Any]:
    """Write a certificate and its key to files; return the settings that name them."""
    chain, key = folder / "fullchain.pem", folder / "privkey.pem"
    chain.write_bytes(b"".join(blob.bytes() for blob in certificate.cert_chain_pems))
    key.write_bytes(certificate.private_key_pem.bytes())
    return {"TLS_CERT": str(chain), "TLS_KEY": str(key)}


def first_pem(certificate: trustme.LeafCert) -> str:
    return certificate.cert_chain_pems[0].bytes().decode()


# --- what is spoken ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("http2", "version"), [(False, "HTTP/1.1"), (True, "HTTP/2")])
def test_jobs_run_by_each_version_of_http(stack: Stack, http2: bool, version: str) -> None:
    with httpx.Client(base_url=stack.url, verify=stack.trust, http2=http2) as http:
        answer = http.post("/flask/divide", json={"a": 9, "b": 2})
        assert (answer.status_code, answer.http_version) == (202, version)
        task_id = answer.json()["task_id"]
        with http.stream("GET", f"/flask/tasks/{task_id}/events") as stream:
            assert stream.http_version == version
            told = [job for _, job in events(stream)]  # the stream ends by itself
        assert told[-1]["result"] == 4.5
        assert http.get("/docs/design.md").http_version == version
        # Addresses that the web makes itself are those of the client.
        assert answer.headers["Location"] == f"/flask/tasks/{task_id}"


@pytest.fixture(scope="module")
def scan(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Any]:
    """What a scanner says, and what it has found; it brings an OpenSSL that still speaks what nobody should."""
    found = tmp_path_factory.mktemp("scan") / "found.json"
    options = ["--mozilla_config", "intermediate", "--resum", "--json_out", str(found)]
    scanner = [sys.executable, "-m", "sslyze", *options, "--certinfo_ca_file", str(stack.authority)]
    said = run([*scanner, f"localhost:{stack.port}{{127.0.0.1}}"], check=False, timeout=110).stdout
    [server] = json.loads(found.read_text())["server_scan_results"]
    return said, server["scan_result"]


def test_a_scanner_finds_nothing_to_complain_of(stack: Stack, scan: tuple[str, Any]) -> None:
    said, _ = scan
    assert f"localhost:{stack.port}: OK - Compliant." in said


def test_only_tls_1_2_and_1_3_are_spoken(scan: tuple[str, Any]) -> None:
    _, found = scan
    versions = ("ssl_2_0", "ssl_3_0", "tls_1_0", "tls_1_1", "tls_1_2", "tls_1_3")
    spoken = [found[f"{version}_cipher_suites"]["result"]["is_tls_version_supported"] for version in versions]
    assert spoken == [False] * 4 + [True] * 2


def test_who_comes_back_need_not_begin_anew(scan: tuple[str, Any]) -> None:
    _, found = scan
    resumption = found["session_resumption"]["result"]
    assert resumption["session_id_resumption_result"] == "FULLY_SUPPORTED"
    assert resumption["tls_ticket_resumption_result"] == "FULLY_SUPPORTED"


def test_a_quantum_computer_of_later_cannot_read_it(stack: Stack) -> None:
    ask = ["openssl", "s_client", "-connect", f"{stack.port_container}:8080", "-groups", "X25519MLKEM768", "-brief"]
    said = run(["docker", "exec", stack.nginx, *ask], merge=True).stdout
    assert "Negotiated TLS1.3 group: X25519MLKEM768" in said


def test_browsers_come_back_by_tls_only_but_not_to_localhost(stack: Stack) -> None:
    answer = stack.http.get("/", headers={"Host": HOST})
    assert answer.headers["Strict-Transport-Security"] == "max-age=63072000"
    answer = stack.http.get("/flask/tasks/unknown", headers={"Host": f"{HOST}:{stack.port}"})
    assert answer.status_code == 404
    assert answer.headers["Strict-Transport-Security"] == "max-age=63072000"
    assert "Strict-Transport-Security" not in stack.http.get("/").headers


# --- plain HTTP -------------------------------------------------------------------------------------------------------


def test_plain_http_is_sent_on_to_tls(stack: Stack) -> None:
    for port in (stack.port, stack.env["HTTP_PORT"]):
        asked = httpx.post(f"http://localhost:{port}/flask/add?a=%20b", json={"a": 1, "b": 2})
        assert asked.status_code == 308
        assert asked.headers["Location"] == f"https://localhost:{stack.port}/flask/add?a=%20b"
        assert "Strict-Transport-Security" not in asked.headers
        with httpx.Client(verify=stack.trust, follow_redirects=True) as http:
            answer = http.post(f"http://localhost:{port}/flask/add", json={"a": 1, "b": 2})
        assert answer.status_code == 202
        stack.wait_state(answer.json()["task_id"], "SUCCESS")


def test_a_challenge_is_shown_and_nothing_else(stack: Stack) -> None:
    plain = f"http://localhost:{stack.env['HTTP_PORT']}"
    webroot = Path(stack.env["ACME_DIR"])
    (webroot / CHALLENGE[1:] / "token").write_text("token.thumbprint")
    (webroot / "other").write_text("not to be shown")
    answer = httpx.get(f"{plain}{CHALLENGE}/token")
    assert (answer.status_code, answer.text) == (200, "token.thumbprint")
    assert httpx.get(f"{plain}{CHALLENGE}/unknown").status_code == 404
    assert httpx.get(f"{plain}{CHALLENGE}/").status_code == 403
    assert httpx.get(f"{plain}/other").status_code == 308


# --- the own authority ------------------------------------------------------------------------------------------------


def test_who_trusts_the_authority_trusts_the_stack_by_all_its_names(stack: Stack) -> None:
    for url in (stack.url, f"https://127.0.0.1:{stack.port}"):
        assert httpx.get(url, verify=stack.trust).status_code == 200
    with httpx.Client(verify=stack.trust) as http:
        assert http.get(stack.url, headers={"Host": HOST}, extensions={"sni_hostname": HOST}).status_code == 200
    with httpx.Client(verify=stack.trust) as http, pytest.raises(httpx.ConnectError, match=r"other\.example"):
        http.get(stack.url, extensions={"sni_hostname": "other.example"})
    with pytest.raises(httpx.ConnectError, match="certificate verify failed"):
        httpx.get(stack.url)


def sign(stack: Stack, file: Path, days: int, *names: str) -> Path:
    """Write a certificate by the authority of the stack, and its key, to a file, and return it."""
    issuer = x509.load_pem_x509_certificate(stack.authority.read_bytes())
    issuer_key = serialization.load_pem_private_key(stack.authority.with_suffix(".key").read_bytes(), None)
    assert isinstance(issuer_key, ec.EllipticCurvePrivateKey)
    identifier = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    usage = dict.fromkeys(
        ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "key_cert_sign", "crl_sign"),
        False,
    )
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a test")]))
        .issuer_name(issuer.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.now(UTC) - timedelta(days=1))
        .not_valid_after(datetime.now(UTC) + timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([general_name(name) for name in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(
            x509.KeyUsage(digital_signature=True, encipher_only=False, decipher_only=False, **usage), critical=True
        )
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier),
            critical=False,
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(issuer_key, hashes.SHA256())
    )
    key_pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM) + key_pem)
    return file


def general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def hand_over(stack: Stack, pair: Path) -> None:
    """Put a certificate with its key where Nginx looks for it."""
    target = stack.secrets / "tls/server.pem"
    part = stack.secrets / "tls/server.pem.part"
    part.write_bytes(pair.read_bytes())
    part.chmod(0o600)
    os.chown(part, target.stat().st_uid, target.stat().st_gid)
    part.rename(target)


def test_with_the_key_of_the_authority_nobody_can_pretend_to_be_another_site(stack: Stack, tmp_path: Path) -> None:
    for name, accepted in ((HOST, True), ("192.168.7.7", True), ("bank.example", False), ("8.8.8.8", False)):
        assert shakes_hands(stack.trust, sign(stack, tmp_path / name, 30, name), name) is accepted, name


def shakes_hands(trust: ssl.SSLContext, certificate: Path, name: str) -> bool:
    """Tell whether a client that trusts `trust` accepts a server with this certificate; both are in this process."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = trust.wrap_bio(to_client, to_server, server_hostname=name)
    server = context.wrap_bio(to_server, to_client, server_side=True)
    for _ in range(4):
        for side in (client, server):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
            except ssl.SSLCertVerificationError as error:
                if error.verify_message == "permitted subtree violation":
                    return False
                raise
    return True


def test_no_container_that_runs_has_the_key_of_the_authority(stack: Stack) -> None:
    assert stack.authority.with_suffix(".key").stat().st_mode & 0o777 == 0o600
    for name in stack.containers():
        for mount in stack.inspect(name)["Mounts"]:
            source = Path(mount["Source"])
            assert source != stack.secrets
            assert not (source / "authority.key").exists()
    assert stack.docker("exec", stack.nginx, "ls", "/run/tls") == "server.pem"


def test_a_second_build_keeps_the_certificate_and_a_new_name_gets_a_new_one(stack: Stack) -> None:
    before, certificate, authority = container_ids(stack), served(stack), stack.authority.read_text()
    said = stack.run("./build.sh").stdout
    assert f"curl --cacert authority.pem {stack.url}/" in said
    assert str(stack.authority) in said
    assert (container_ids(stack), served(stack)) == (before, certificate)
    # Any private address is one that the authority may sign for, so people need not trust a new one.
    stack.run("./build.sh", HOSTS=f"{HOST},10.1.2.3")
    assert {name for name, known in container_ids(stack).items() if known != before[name]} == {stack.nginx}
    assert stack.authority.read_text() == authority
    renewed = served(stack)
    assert renewed != certificate
    names = x509.load_pem_x509_certificate(renewed.encode()).extensions
    alternative = names.get_extension_for_class(x509.SubjectAlternativeName).value
    assert "10.1.2.3" in map(str, alternative.get_values_for_type(x509.IPAddress))
    # What it has besides does no harm.
    stack.run("./build.sh")
    assert served(stack) == renewed


@pytest.mark.parametrize(("days", "renewed"), [(100, False), (80, True)])
def test_a_certificate_that_ends_soon_is_renewed(stack: Stack, tmp_path: Path, days: int, renewed: bool) -> None:
    pair = sign(stack, tmp_path / "pair", days, "localhost", "127.0.0.1", "::1", HOST)
    hand_over(stack, pair)
    stack.run("ops/certificate.sh")
    assert (served(stack) not in pair.read_text()) is renewed
    assert stack.http.get("/").status_code == 200


# --- certificates of one's own ----------------------------------------------------------------------------------------


def test_renewed_certificates_are_taken_up_and_no_request_fails(
    stack: Stack, authority: trustme.CA, tmp_path: Path
) -> None:
    """As Let's Encrypt's client does it: live/ has links, which lead to another file after a renewal."""
    live = tmp_path / "live"
    live.mkdir()
    before = container_ids(stack)
    with asking(stack) as answers:
        for number in range(3):
            certificate = authority.issue_cert("localhost", HOST)
            archive = tmp_path / f"archive{number}"
            archive.mkdir()
            for file in map(Path, write(archive, certificate).values()):
                (tmp_path / "link").symlink_to(file)
                (tmp_path / "link").rename(live / file.name)
            stack.run("ops/certificate.sh", TLS_CERT=f"{live}/fullchain.pem", TLS_KEY=f"{live}/privkey.pem")
            assert served(stack) == first_pem(certificate)
        # However the file comes there, Nginx sees it by itself.
        certificate = authority.issue_cert("localhost")
        (tmp_path / "pair").write_bytes(certificate.private_key_and_cert_chain_pem.bytes())
        hand_over(stack, tmp_path / "pair")
        wait_until(partial(served, stack), 30, "Nginx has seen it", lambda pem: pem == first_pem(certificate))
        wait_until(lambda: not draining(stack), 30, "those with the earlier one have ended")
    assert container_ids(stack) == before
    answers.check(stack)
    stack.run("./build.sh")


def draining(stack: Stack) -> bool:
    return "draining" in stack.docker("exec", stack.nginx, "ls", "/tmp").split()


def test_a_build_with_a_certificate_of_ones_own_restarts_nothing(
    stack: Stack, authority: trustme.CA, tmp_path: Path
) -> None:
    before, certificate = container_ids(stack), authority.issue_cert("localhost")
    said = stack.run("./build.sh", **write(tmp_path, certificate)).stdout
    assert "authority" not in said
    assert (container_ids(stack), served(stack)) == (before, first_pem(certificate))
    stack.run("./build.sh")
    assert served(stack) != first_pem(certificate)
    assert stack.http.get("/").status_code == 200


def wrong_pairs(folder: Path, authority: trustme.CA) -> Iterator[tuple[dict[str, Any], str]]:
    """Yield settings that cannot work, and what is said of each."""
    good = write(folder, authority.issue_cert("localhost"))
    files = {name: folder / name for name in ("other.key", "locked.key", "old.pem", "old.key", "none.pem")}
    files["other.key"].write_bytes(authority.issue_cert("localhost").private_key_pem.bytes())
    yield good | {"TLS_KEY": str(files["other.key"])}, "TLS_CERT and TLS_KEY do not belong together"

    key = serialization.load_pem_private_key(Path(good["TLS_KEY"]).read_bytes(), None)
    files["locked.key"].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
    )
    yield good | {"TLS_KEY": str(files["locked.key"])}, "TLS_KEY has no key that can be read"

    old = authority.issue_cert("localhost", not_after=datetime.now(UTC) - timedelta(days=1))
    files["old.pem"].write_bytes(old.cert_chain_pems[0].bytes())
    files["old.key"].write_bytes(old.private_key_pem.bytes())
    yield {"TLS_CERT": str(files["old.pem"]), "TLS_KEY": str(files["old.key"])}, "has expired: notAfter="

    files["none.pem"].write_text("no certificate\n")
    yield good | {"TLS_CERT": str(files["none.pem"])}, "TLS_CERT has no certificate"
    yield good | {"TLS_CERT": str(folder / "missing")}, f"TLS_CERT: there is no file {folder}/missing"


def test_what_nginx_could_not_use_is_refused_and_nothing_changes(
    stack: Stack, authority: trustme.CA, tmp_path: Path
) -> None:
    before, certificate = container_ids(stack), served(stack)
    for settings, message in wrong_pairs(tmp_path, authority):
        for script in ("./build.sh", "ops/certificate.sh"):
            refused = stack.run(script, check=False, **settings)
            assert refused.returncode != 0
            errors = refused.stderr.splitlines()
            [error] = [number for number, line in enumerate(errors) if line.startswith("error: ")]
            assert message in errors[error]
            assert errors[error + 1] == ""
            assert errors[error + 2], "the remedy"
    assert (container_ids(stack), served(stack)) == (before, certificate)


# --- programs ---------------------------------------------------------------------------------------------------------


def test_locust_trusts_the_authority_if_it_is_told_to(stack: Stack, tmp_path: Path) -> None:
    options = ["--headless", "--only-summary", "-u", "4", "-t", "4s", "--html", str(tmp_path / "report.html")]
    command = ["locust/locust", "--host", stack.url, *options, "Swarm", "Viewer"]
    run(command, env={"SSL_CERT_FILE": str(stack.authority)}, timeout=110)  # raises unless exit 0
    refused = run(command, check=False, timeout=110)
    assert refused.returncode == 1
    assert "certificate verify failed" in refused.stdout + refused.stderr


# --- beyond loopback: the last test, for it moves the port ------------------------------------------------------------


def test_beyond_loopback_tls_is_on_and_who_switches_it_off_is_warned(stack: Stack) -> None:
    # An address that no other machine reaches, and still not loopback
    gateway = "{{(index .IPAM.Config 0).Gateway}}"  # of the default bridge, some engines tell none
    address = stack.docker("network", "inspect", "--format", gateway, f"{stack.prefix}_front_network")
    assert address
    done = stack.run("./build.sh", BIND_ADDRESS=address, TLS="")
    assert "warning" not in done.stderr
    url = f"https://{address}:{stack.port}"
    assert f"{url}/flask" in done.stdout
    # The authority is a new one: the earlier one may not sign for the name of the machine.
    stack.trust.load_verify_locations(stack.authority)
    assert httpx.get(url, verify=stack.trust).status_code == 200

    done = stack.run("./build.sh", BIND_ADDRESS=address, TLS="off", HTTP_PORT="", ACME_DIR="")
    assert "warning: TLS is off" in done.stderr
    answer = httpx.get(url.replace("https", "http"))
    assert answer.status_code == 200
    assert "Strict-Transport-Security" not in answer.headers
