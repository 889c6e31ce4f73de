"""The CIS Docker Benchmark 1.6, its sections on images (4) and containers (5). The ids of the tests are its numbers.

Sections 1 to 3 are about the machine and its engine, which are not Warren's. docs/security.md tells how each number is
met, and has a table of the exceptions.
"""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.stack.test_containers import ROLES
from tests.support.project import ROOT, dockerfiles, shell_scripts
from tests.support.stack import Stack

NUMBERS = [f"4.{number}" for number in range(1, 13)] + [f"5.{number}" for number in range(1, 33)]
IMAGES = ("nginx", "flask", "rabbitmq", "celery")

PAGE = (ROOT / "docs/security.md").read_text()
#: A row such as: | 5.15 | a container is started again five times at most | the reason |
EXCEPTION = re.compile(r"^\| ([45]\.\d+)(?:, only `my_(\w+)`)? \| .+ \| .+ \|$", re.MULTILINE)
#: A row such as: | 4.1, 5.24 | how it is met |
MET = re.compile(r"^\| ([45]\.\d+(?:, [45]\.\d+)*) \| [^|]+ \|$", re.MULTILINE)

#: The numbers that are not met, each with the one container that does not meet it, or nothing: then none does.
EXCEPTIONS = dict(EXCEPTION.findall(PAGE))

SENSITIVE = ("/", "/boot", "/dev", "/etc", "/lib", "/proc", "/sys", "/usr")
#: What a thief would look for, and nobody here needs.
TOOLS_FOR_OTHERS = "gcc cc make sudo ssh sshd telnet nc ncat nmap gdb strace tcpdump wget curl git cron"


def mounts(container: Any) -> list[dict[str, Any]]:
    return list(container["Mounts"])


def published(container: Any) -> list[tuple[str, str]]:
    """Return each published port as the address on the machine and the port in the container."""
    ports = container["HostConfig"]["PortBindings"] or {}
    return [(address["HostIp"], port.partition("/")[0]) for port, addresses in ports.items() for address in addresses]


def is_sensitive(folder: str) -> bool:
    return (
        any(folder == place or folder.startswith(f"{place}/") for place in SENSITIVE if place != "/") or folder == "/"
    )


#: What section 5 asks of a container, as far as `docker inspect` tells it.
CONTAINER: dict[str, Callable[[Any], object]] = {
    "5.3": lambda it: not any(option.startswith("label") for option in it["HostConfig"]["SecurityOpt"]),
    "5.4": lambda it: it["HostConfig"]["CapDrop"] == ["ALL"] and not it["HostConfig"]["CapAdd"],
    "5.5": lambda it: not it["HostConfig"]["Privileged"],
    "5.6": lambda it: not any(is_sensitive(mount["Source"]) for mount in mounts(it)),
    "5.8": lambda it: all(int(port) >= 1024 for _, port in published(it)),
    "5.9": lambda it: it["Name"].endswith("_port_container") or not published(it),
    "5.10": lambda it: it["HostConfig"]["NetworkMode"] != "host",
    "5.11": lambda it: it["HostConfig"]["Memory"] > 0,
    # Whoever waits for an answer goes before the jobs.
    "5.12": lambda it: it["Config"]["Labels"]["warren.role"] != "worker" or 0 < it["HostConfig"]["CpuShares"] < 1024,
    "5.13": lambda it: it["HostConfig"]["ReadonlyRootfs"],
    "5.14": lambda it: not {address for address, _ in published(it)} & {"", "0.0.0.0", "::"},
    "5.15": lambda it: it["HostConfig"]["RestartPolicy"] == {"Name": "on-failure", "MaximumRetryCount": 5},
    "5.16": lambda it: it["HostConfig"]["PidMode"] == "",
    "5.17": lambda it: it["HostConfig"]["IpcMode"] == "private",
    "5.18": lambda it: not it["HostConfig"]["Devices"],
    "5.19": lambda it: not it["HostConfig"]["Ulimits"],
    "5.20": lambda it: all(mount.get("Propagation", "") in ("", "rprivate") for mount in mounts(it)),
    "5.21": lambda it: it["HostConfig"]["UTSMode"] == "",
    "5.25": lambda it: it["HostConfig"]["CgroupParent"] == "",
    "5.26": lambda it: "no-new-privileges" in it["HostConfig"]["SecurityOpt"],
    "5.27": lambda it: it["State"]["Health"]["Status"] == "healthy",
    "5.29": lambda it: it["HostConfig"]["PidsLimit"] > 0,
    "5.30": lambda it: "bridge" not in it["NetworkSettings"]["Networks"],
    "5.31": lambda it: it["HostConfig"]["UsernsMode"] != "host",
    "5.32": lambda it: not any(mount["Source"].endswith(("docker.sock", "/run")) for mount in mounts(it)),
}


def unmet(container: Any) -> set[str]:
    """Return the numbers of section 5 that a container does not meet, other than the exceptions of all."""
    return {number for number, met in CONTAINER.items() if number not in EXCEPTIONS and not met(container)}


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("number", CONTAINER)
def test_container(stack: Stack, number: str, role: str) -> None:
    name = getattr(stack, role)
    stack.wait_healthy(name)
    assert bool(CONTAINER[number](stack.inspect(name))) is (number not in EXCEPTIONS)


# --- what needs more than a look at one container ---------------------------------------------------------------------


@pytest.fixture(scope="module")
def engine(docker_engine: None, stack: Stack) -> Any:
    return json.loads(stack.docker("info", "--format", "{{json .}}"))


def test_5_2_apparmor_where_the_kernel_has_it(stack: Stack, engine: Any) -> None:
    expected = "docker-default" if "name=apparmor" in engine["SecurityOptions"] else ""
    for role in ROLES:
        details = stack.inspect(getattr(stack, role))
        assert details["AppArmorProfile"] == expected
        assert not any(option.startswith("apparmor") for option in details["HostConfig"]["SecurityOpt"])


def test_5_22_the_engines_filter_of_system_calls_is_on(stack: Stack, engine: Any) -> None:
    assert any(option.startswith("name=seccomp") for option in engine["SecurityOptions"])
    for role in ROLES:
        assert "Seccomp:\t2" in stack.docker("exec", getattr(stack, role), "cat", "/proc/1/status").splitlines()


def test_5_7_nobody_logs_in_by_ssh(stack: Stack) -> None:
    for role in ROLES:
        assert "sshd" not in stack.docker("top", getattr(stack, role), "-o", "pid,comm")


def test_5_28_containers_run_the_newest_build_of_their_image(stack: Stack) -> None:
    assert EXCEPTIONS["5.28"] == "port_container"
    for role in ROLES:
        details = stack.inspect(getattr(stack, role))
        newest = stack.docker("image", "inspect", "--format", "{{.Id}}", details["Config"]["Image"])
        assert details["Image"] == newest or role == "port_container"


SCRIPTS = {path: (ROOT / path).read_text() for path in shell_scripts() if path.parts[0] not in ("tests", "bench")}


def found_in_scripts(pattern: str) -> list[str]:
    return [
        f"{path}: {line}" for path, text in SCRIPTS.items() for line in text.splitlines() if re.search(pattern, line)
    ]


@pytest.mark.parametrize(
    "pattern",
    [
        pytest.param(r"docker exec.* --privileged", id="5.23"),
        pytest.param(r"docker exec.* (--user|-u)\b", id="5.24"),
    ],
)
def test_no_script_does_this(pattern: str) -> None:
    assert len(SCRIPTS) > 20
    assert found_in_scripts(r"docker exec")
    assert found_in_scripts(pattern) == []


def test_5_1_swarm_is_off_unless_workers_run_on_other_machines(engine: Any) -> None:
    assert {line.partition(":")[0] for line in found_in_scripts(r"docker swarm")} == {"ops/cluster.sh", "ops/nodes.sh"}
    assert engine["Swarm"]["LocalNodeState"] == "inactive"


# --- images -----------------------------------------------------------------------------------------------------------


def in_image(stack: Stack, name: str, *command: str) -> str:
    """Run a command as root in an image."""
    image = f"{stack.prefix}_{name}"
    return stack.docker("run", "--rm", "--network=none", "--user=root", "--no-healthcheck", image, *command)


def image(stack: Stack, name: str) -> Any:
    return json.loads(stack.docker("image", "inspect", f"{stack.prefix}_{name}"))[0]


@pytest.mark.parametrize("name", IMAGES)
def test_4_1_an_image_has_an_ordinary_user(stack: Stack, name: str) -> None:
    assert image(stack, name)["Config"]["User"] == "warren"
    assert int(in_image(stack, name, "id", "-u", "warren")) != 0


@pytest.mark.parametrize("name", IMAGES)
def test_4_3_an_image_has_no_tools_for_others(stack: Stack, name: str) -> None:
    found = in_image(stack, name, "bash", "-c", f"type -P {TOOLS_FOR_OTHERS} || true")
    assert found == ""
    assert in_image(stack, name, "bash", "-c", "type -P tar cat").splitlines() == ["/usr/bin/tar", "/usr/bin/cat"]


@pytest.mark.parametrize("name", IMAGES)
def test_4_6_an_image_says_how_it_is_checked(stack: Stack, name: str) -> None:
    assert image(stack, name)["Config"]["Healthcheck"]["Test"]


@pytest.mark.parametrize("name", IMAGES)
def test_4_8_no_program_lends_the_rights_of_another_user(stack: Stack, name: str) -> None:
    assert in_image(stack, name, "find", "/", "-xdev", "-type", "f", "-perm", "/6000") == ""


@pytest.mark.parametrize("name", IMAGES)
def test_4_10_an_image_has_no_secret_in_its_settings_and_its_history(stack: Stack, name: str) -> None:
    shown = json.dumps(image(stack, name)) + stack.docker("history", "--no-trunc", f"{stack.prefix}_{name}")
    secrets = [path.read_text().strip() for path in stack.secrets.glob("*_password")]
    assert len(secrets) > 2
    assert [secret for secret in secrets if secret in shown] == []


DOCKERFILES = {path: (ROOT / path).read_text() for path in dockerfiles() if path.parts[0] not in ("bench", "tests")}
#: Each instruction as one line.
INSTRUCTIONS = [
    (path, line) for path, text in DOCKERFILES.items() for line in re.sub(r"\\\n\s*", "", text).splitlines()
]


def test_4_2_images_start_from_the_base_and_from_each_other() -> None:
    starts = {line for _, line in INSTRUCTIONS if line.startswith("FROM ")}
    assert starts == {"FROM ${SLIM}", "FROM ${BASE}", "FROM ${PYTHON_IMAGE}", "FROM ${POSTGRES}"}


def test_4_7_lists_of_packages_are_fetched_together_with_the_packages() -> None:
    updates = [line for _, line in INSTRUCTIONS if "apt-get update" in line]
    assert len(updates) == 8
    assert all(re.search(r"&& apt-get install .* && rm -rf /var/lib/apt/lists/\*", line) for line in updates)


def test_4_9_files_are_copied_and_not_added() -> None:
    assert [line for _, line in INSTRUCTIONS if line.startswith("ADD ")] == []


def test_4_11_packages_are_verified() -> None:
    installs = [line for _, line in INSTRUCTIONS if re.search(r"\bpip install\b", line)]
    assert len(installs) == 5
    assert all("--require-hashes" in line for line in installs)
    texts = [*DOCKERFILES.values(), *SCRIPTS.values(), *(path.read_text() for path in (ROOT / "ops/base").iterdir())]
    for loose in ("--allow-unauthenticated", "--no-check-gpg", "trusted=yes", "AllowInsecure", "--trusted-host"):
        assert [text for text in texts if loose in text] == []


def test_4_12_what_debian_has_signed_is_checked() -> None:
    assert "debootstrap --force-check-gpg" in SCRIPTS[Path("ops/base_image.sh")]


REQUIREMENTS = [*ROOT.glob("*/requirements.txt"), ROOT / "ops/supply/requirements.txt"]


@pytest.mark.parametrize("path", REQUIREMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_each_python_package_has_one_version_and_hashes(path: Path) -> None:
    lines = re.sub(r"\\\n\s*", "", path.read_text()).splitlines()
    pins = [line for line in lines if line and not line.lstrip().startswith("#")]
    assert len(pins) > 5
    assert [pin for pin in pins if not re.match(r"[\w.-]+(\[[\w,-]+\])?==\S+ .*--hash=sha256:[0-9a-f]{64}", pin)] == []


# --- the page ---------------------------------------------------------------------------------------------------------


def test_the_page_tells_of_each_number_once() -> None:
    told = [number for row in MET.findall(PAGE) for number in row.split(", ")]
    exceptions = {number for number, container in EXCEPTIONS.items() if not container}
    assert sorted([*told, *exceptions]) == sorted(NUMBERS)


def test_each_number_has_a_test_or_is_an_exception() -> None:
    here = Path(__file__).read_text()
    tested = set(re.findall(r'"([45]\.\d+)"[:)]', here))
    tested |= {f"{section}.{number}" for section, number in re.findall(r"^def test_([45])_(\d+)_", here, re.MULTILINE)}
    assert sorted(tested | {"4.4", "4.5"}) == sorted(NUMBERS)  # 4.4, rebuilding, is what test_supply.py is about
