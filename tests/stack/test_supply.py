"""What the images are made of is listed whole, known holes in it are told, and Debian's updates are taken up."""

import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL

from tests.support.clients import asking
from tests.support.project import ROOT
from tests.support.stack import PREFIX, Stack, run, running, wait_until
from tests.support.terminal import copy_project

IMAGES = ("celery", "flask", "nginx", "rabbitmq")


def sbom(stack: Stack, name: str) -> Path:
    return stack.root / "sbom" / stack.prefix / f"{name}.cdx.json"


def components(stack: Stack, name: str, kind: str) -> list[tuple[PackageURL, dict[str, Any]]]:
    """Return the packages of a kind that the list of an image has."""
    listed = json.loads(sbom(stack, name).read_text())["components"]
    found = [(PackageURL.from_string(component["purl"]), component) for component in listed]
    return [(purl, component) for purl, component in found if purl.type == kind]


def in_image(stack: Stack, name: str, *command: str) -> str:
    return stack.docker("run", "--rm", "--network=none", f"{stack.prefix}_{name}", *command)


def image_id(stack: Stack, name: str) -> str:
    return stack.docker("image", "inspect", "--format", "{{.Id}}", f"{stack.prefix}_{name}")


# --- the lists --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", IMAGES)
def test_the_list_is_cyclonedx_and_of_this_image(stack: Stack, name: str) -> None:
    text = sbom(stack, name).read_text()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    subject = json.loads(text)["metadata"]["component"]
    assert (subject["name"], subject["type"]) == (f"{stack.prefix}_{name}", "container")
    assert subject["properties"] == [{"name": "docker:image:id", "value": image_id(stack, name)}]


@pytest.mark.parametrize("name", IMAGES)
def test_the_list_has_each_package_of_debian(stack: Stack, name: str) -> None:
    query = "${db:Status-Status} ${Package} ${Version} ${Architecture}\n"
    installed = in_image(stack, name, "dpkg-query", "--show", "--showformat", query).splitlines()
    listed = [purl for purl, _ in components(stack, name, "deb")]
    binaries = [purl for purl in listed if purl.qualifiers["arch"] != "source"]
    assert sorted(f"installed {it.name} {it.version} {it.qualifiers['arch']}" for it in binaries) == sorted(installed)
    sources = {purl.name for purl in listed if purl.qualifiers["arch"] == "source"}
    assert {"glibc", "debianutils", "nginx" if name == "nginx" else "bash"} <= sources


@pytest.mark.parametrize("name", IMAGES)
def test_the_list_has_each_package_of_python(stack: Stack, name: str) -> None:
    installed = []
    if name in ("flask", "celery"):
        # --path: without what is not installed, pip itself.
        listing = "python /usr/local/lib/pip.whl/pip list --format json --path /venv/lib/python*/site-packages"
        pip = in_image(stack, name, "bash", "-c", listing)
        installed = [(re.sub(r"[-_.]+", "-", it["name"]).lower(), it["version"]) for it in json.loads(pip)]
        assert len(installed) > 20
    listed = [(re.sub(r"[-_.]+", "-", purl.name), purl.version) for purl, _ in components(stack, name, "pypi")]
    assert sorted(listed) == sorted(installed)


def test_the_list_has_what_was_copied_from_npm(stack: Stack) -> None:
    [(purl, component)] = components(stack, "flask", "npm")
    assert purl.name == "swagger-ui-dist"
    assert component["licenses"] == [{"license": {"id": "Apache-2.0"}}]
    bundle = (ROOT / "flask/webapp/static/swagger-ui/swagger-ui-bundle.js").read_text()
    assert f'"{purl.version}"' in bundle or f"v{purl.version}" in bundle


def test_licences_are_told_as_far_as_they_are_known(stack: Stack) -> None:
    # One says it only in a file.
    assert {purl.name for purl, it in components(stack, "flask", "pypi") if not it.get("licenses")} <= {"pysqlite3"}
    sources = [it for purl, it in components(stack, "nginx", "deb") if purl.qualifiers["arch"] == "source"]
    told = {it["name"]: it["licenses"][0]["expression"] for it in sources if "licenses" in it}
    assert told["openssl"] == "Apache-2.0 AND (Artistic-1.0 OR GPL-1.0-or-later)"
    assert len(told) > len(sources) / 5


def test_a_list_is_written_only_for_a_new_image(stack: Stack) -> None:
    def written() -> dict[str, int]:
        return {name: sbom(stack, name).stat().st_mtime_ns for name in IMAGES}

    before = written()
    stack.run("./build.sh")
    assert written() == before
    sbom(stack, "nginx").write_text(sbom(stack, "nginx").read_text().replace("sha256:", "sha256:0"))
    stack.run("ops/sbom.sh")
    assert {name for name, at in written().items() if at != before[name]} == {"nginx"}
    assert image_id(stack, "nginx") in sbom(stack, "nginx").read_text()
    assert all(path.name.endswith(".cdx.json") for path in sbom(stack, "nginx").parent.iterdir())


# --- known holes ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def advisories(stack: Stack) -> Iterator[str]:
    """Run a server that knows of holes, where the audit's container reaches it; return its address."""
    name = f"{stack.prefix}_advisories"
    source = ROOT / "tests/support/advisories.py"
    stack.docker(
        *("run", "--detach", "--rm", "--name", name, "--no-healthcheck", f"--volume={source}:/server.py:ro"),
        *(f"{stack.prefix}_flask", "python", "/server.py"),
    )
    url = f"http://{stack.inspect(name)['NetworkSettings']['Networks']['bridge']['IPAddress']}:8000"
    ask = ("exec", name, "python", "-c", f"import urllib.request as u; u.urlopen('{url}/tracker/none/data/json')")
    wait_until(lambda: stack.docker(*ask), 20, "it answers", lambda said: said == "")
    yield url
    stack.docker("rm", "--force", name)


def audit(stack: Stack, url: str, *, python: str = "none", debian: str = "none", **env: str) -> tuple[int, str, bool]:
    """Run the audit; return its exit code, what it said, and whether Debian's archive has nothing newer."""
    arguments = ("--osv", f"{url}/osv/{python}", "--tracker", f"{url}/tracker/{debian}")
    done = stack.run("ops/audit.sh", *arguments, check=False, timeout=300, **env)
    return done.returncode, done.stdout, "Debian's archive: nothing found" in done.stdout


def test_a_hole_in_a_python_package_is_told_with_its_mend(stack: Stack, advisories: str) -> None:
    code, said, _ = audit(stack, advisories, python="celery")
    assert code == 1
    where = rf"{stack.prefix}_celery, {stack.prefix}_flask(, \S+)*"  # tools have it, too
    assert re.search(rf"^  celery \S+ in {where}: PYSEC-1-1, CVE-1-3; mended in 99$", said, re.MULTILINE)
    assert "ops/lock.sh --upgrade" in said


def test_a_hole_in_a_debian_package_is_told_with_its_mend(stack: Stack, advisories: str) -> None:
    code, said, _ = audit(stack, advisories, debian="nginx")
    assert code == 1
    assert re.search(rf"^  nginx \S+ in {stack.prefix}_nginx: CVE-1-1; mended in 99:1$", said, re.MULTILINE)
    assert "./build.sh --refresh" in said
    assert "1 more are known that Debian has not mended" in said


def test_where_nothing_is_known_it_says_who_was_asked(stack: Stack, advisories: str) -> None:
    code, said, archive_clean = audit(stack, advisories)
    assert code == (0 if archive_clean else 1)
    assert f"{advisories}/osv/none: nothing found" in said
    assert "Debian's security tracker: nothing found" in said


def test_who_does_not_answer_does_not_count_as_nothing_found(stack: Stack, advisories: str) -> None:
    done = stack.run(
        "ops/audit.sh", "--osv", "http://127.0.0.1:9/", "--tracker", f"{advisories}/tracker/none", check=False
    )
    assert done.returncode == (2 if "Debian's archive: nothing found" in done.stdout else 1)
    assert re.search(r"^http://127.0.0.1:9/: not asked: .*[Cc]onnection", done.stdout, re.MULTILINE)
    assert "Nothing found. " not in done.stdout


def test_what_pypi_says_or_does_not_say_decides_the_exit_code(stack: Stack, advisories: str) -> None:
    done = stack.run("ops/audit.sh", "--tracker", f"{advisories}/tracker/none", check=False)
    missing = re.search(r"^PyPI: .*not asked: ", done.stdout, re.MULTILINE)
    found = re.search(r"^\S+.*: \d+ found", done.stdout, re.MULTILINE)
    assert done.returncode == (1 if found else 2 if missing else 0), done.stdout


@pytest.mark.parametrize("arguments", [["now"], ["--osv"], ["--tracker", "here"]])
def test_a_wrong_argument_of_the_audit_is_no_result(stack: Stack, arguments: list[str]) -> None:
    refused = stack.run("ops/audit.sh", *arguments, check=False)
    assert refused.returncode == 2
    assert refused.stderr.startswith("error: ")


# --- updates ----------------------------------------------------------------------------------------------------------

#: No other package asks for a certain version of it, so that the image stays sound if it is said to be older.
PACKAGE = "hostname"


def make_old(stack: Stack, image: str) -> str:
    """Let an image look as if it had an old version of PACKAGE; return its new id."""
    user = stack.docker("image", "inspect", "--format", "{{.Config.User}}", image) or "root"
    dockerfile = (
        f"FROM {image}\nUSER root\n"
        f"RUN sed -i '/^Package: {PACKAGE}$/,/^$/s/^Version: .*/Version: 0.1/' /var/lib/dpkg/status\nUSER {user}\n"
    )
    run(["bash", "-c", f'docker build --tag {image} - <<<"$DOCKERFILE"'], env={"DOCKERFILE": dockerfile}, timeout=120)
    assert version_in(stack, image) == "0.1"
    return stack.docker("image", "inspect", "--format", "{{.Id}}", image)


def version_in(stack: Stack, image: str) -> str:
    return stack.docker(
        *("run", "--rm", "--network=none", image, "dpkg-query", "--show", "--showformat", "${Version}", PACKAGE)
    )


@pytest.fixture
def refreshed(stack: Stack, tmp_path: Path) -> Iterator[Stack]:
    """Return a stack that may build images anew without changing those of others.

    Docker's builder gives every stack the newest of the layers that were made from one recipe. So others that run on
    this machine, such as those of a test beside this one, would be renewed by their next build. This one has another
    recipe for Nginx, and its base has a name of its own.
    """
    root, base = tmp_path / "warren", f"{stack.prefix}_base_of_test:latest"
    copy_project(root)
    (root / "nginx/Dockerfile").write_text(
        f"FROM {stack.prefix}_nginx\nUSER root\nRUN apt-get update && apt-get upgrade --yes\nUSER warren\n"
    )
    stack.docker("tag", run(["bash", "-c", "source settings.sh; printf %s $BASE"]).stdout, base)
    own = Stack(f"{stack.prefix}_refreshed", tmp_path, root=root)
    own.env["BASE_IMAGE"] = base
    with running(own):
        yield own
    stack.docker("rmi", "--no-prune", base)


def ids(stack: Stack) -> dict[str, str]:
    return {name: stack.inspect(name)["Id"] for name in stack.containers()}


@pytest.mark.timeout(600)
def test_an_image_that_lacks_an_update_is_built_anew_and_only_that_one(refreshed: Stack) -> None:
    refreshed.run("./build.sh", "--refresh", timeout=600)  # the base of this machine may be old
    before, cached = ids(refreshed), image_id(refreshed, "nginx")
    old = make_old(refreshed, f"{refreshed.prefix}_nginx")
    with asking(refreshed) as answers:
        done = refreshed.run("./build.sh", "--refresh", timeout=600)
    assert re.search(rf"^ +{refreshed.prefix}_nginx: {PACKAGE} 0\.1 -> \S+$", done.stdout, re.MULTILINE)
    answers.check(refreshed)

    # What the cache of the builder had may be as old.
    assert image_id(refreshed, "nginx") not in (old, cached)
    assert version_in(refreshed, f"{refreshed.prefix}_nginx") != "0.1"
    assert refreshed.inspect(refreshed.nginx)["Image"] == image_id(refreshed, "nginx")
    assert {name for name, number in ids(refreshed).items() if number != before[name]} == {refreshed.nginx}
    assert image_id(refreshed, "nginx") in sbom(refreshed, "nginx").read_text()

    # Neither another refresh nor a build without it goes back, or does anything.
    after = ids(refreshed)
    assert "nothing is newer" in refreshed.run("./build.sh", "--refresh").stdout
    refreshed.run("./build.sh")
    assert ids(refreshed) == after


def test_when_debian_cannot_be_asked_nothing_is_changed_and_nothing_is_fine(stack: Stack, advisories: str) -> None:
    base = f"{stack.prefix}_base_without_debian"
    real = run(["bash", "-c", "source settings.sh; printf %s $BASE"]).stdout
    nowhere = "deb http://127.0.0.1:9/ trixie main"
    dockerfile = f"FROM {real}\nRUN rm -rf /etc/apt/sources.list* && echo {nowhere} >/etc/apt/sources.list\n"
    run(["bash", "-c", f'docker build --tag {base} - <<<"$DOCKERFILE"'], env={"DOCKERFILE": dockerfile}, timeout=120)
    before = ids(stack)
    try:
        refused = stack.run("./build.sh", "--refresh", check=False, BASE_IMAGE=base)
        assert refused.returncode != 0
        assert "Debian could not be asked for updates" in refused.stderr
        assert ids(stack) == before
        code, said, _ = audit(stack, advisories, BASE_IMAGE=base)
        assert re.search(r"^Debian's archive: not asked: .*127\.0\.0\.1", said, re.MULTILINE)
        assert code == 0  # the tracker answers
        asked = stack.run(
            "ops/audit.sh",
            "--osv",
            f"{advisories}/osv/none",
            "--tracker",
            "http://127.0.0.1:9",
            check=False,
            BASE_IMAGE=base,
        )
        assert asked.returncode == 2
    finally:
        stack.docker("rmi", base)


@pytest.fixture
def project(stack: Stack, tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """Copy the project, with a base image of its own."""
    root, base = tmp_path / "warren", f"{PREFIX}_base_of_copy:trixie"
    copy_project(root)
    settings = root / "settings.sh"
    text = settings.read_text()
    assert text.count("warren_base:trixie") == 1
    settings.write_text(text.replace("warren_base:trixie", base))
    stack.docker("tag", run(["bash", "-c", "source settings.sh; printf %s $BASE"]).stdout, base)
    yield root, base
    stack.docker("rmi", "--no-prune", base)
    shutil.rmtree(root)


@pytest.mark.timeout(600)
def test_the_base_is_made_anew_with_the_updates_and_its_licences(stack: Stack, project: tuple[Path, str]) -> None:
    root, base = project
    environment = {"BASE_IMAGE": ""} if "BASE_IMAGE" in os.environ else {}
    old = make_old(stack, base)
    run(["ops/base_image.sh", "--refresh"], cwd=root, env=environment, timeout=600)
    made = stack.docker("image", "inspect", "--format", "{{.Id}}", base)
    assert made != old
    assert version_in(stack, base) != "0.1"
    assert "License" in stack.docker("run", "--rm", base, "cat", "/usr/share/doc/debianutils/copyright")
    # It stays, until its recipe changes.
    run(["ops/base_image.sh"], cwd=root, env=environment)
    assert stack.docker("image", "inspect", "--format", "{{.Id}}", base) == made
