"""Asks which packages of the images have known holes, and tells what mends them. ops/audit.sh runs this.

/sbom has what each image is made of. /shared/updates has the packages that Debian has newer versions of, if it could be
asked, and otherwise /shared/why the reason why it could not. The answer goes into /shared/report.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests
from debsbom.dpkg.package import SourcePackage
from debsbom.securityscan.scanner import CveStatus, CveUrgency, SecurityScanner
from packageurl import PackageURL
from packaging.utils import canonicalize_name
from packaging.version import Version

SHARED = Path("/shared")

FOUND = 10
NOT_ASKED = 2

RELEASE = "trixie"
TRACKER = "https://security-tracker.debian.org/tracker"
PATIENCE = 20  # seconds without a byte

PIP_AUDIT = (
    f"pip-audit --no-deps --disable-pip --format json --desc off --progress-spinner off --timeout {PATIENCE}".split()
)

REBUILD = "Take them up: ./build.sh --refresh"
RAISE = "Raise them where a requirements.in holds them back, then: ops/lock.sh --upgrade && ./build.sh"


@dataclass
class Answer:
    """What one source said."""

    source: str
    #: Why it could not be asked, or not about everything.
    missing: str = ""
    found: list[str] = field(default_factory=list)
    remedy: str = ""
    note: str = ""


@dataclass(frozen=True)
class Package:
    """A package in one version, and the images that have it."""

    name: str
    version: str
    images: str

    def __str__(self) -> str:
        return f"{self.name} {self.version} in {self.images}"


def main() -> int:
    """Ask everybody, write down what they said, and return the exit code."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--osv")
    parser.add_argument("--tracker", default=TRACKER)
    options = parser.parse_args()

    python = packages("pypi")
    pypi = ask_pypi(python, options.osv)
    archive = ask_archive()
    tracker = ask_tracker(packages("deb", arch="source"), options.tracker)
    answers = [pypi, archive, tracker]

    found = sum(len(answer.found) for answer in answers)
    if found:
        code, verdict = FOUND, f"Found: {found}. What to do is above."
    elif pypi.missing or (archive.missing and tracker.missing):
        # The archive and the tracker know of the same mends. The tracker only knows more about each.
        code, verdict = NOT_ASKED, "Nothing found, but not everybody could be asked: so it is not known."
    else:
        asked = ", ".join(answer.source for answer in answers if not answer.missing)
        code, verdict = 0, f"Nothing found. Asked: {asked}."
    lines = [line for answer in answers for line in text_of(answer)]
    (SHARED / "report").write_text("\n".join([*lines, "", verdict, ""]))
    return code


def text_of(answer: Answer) -> Iterator[str]:
    """Yield the lines that tell an answer."""
    said = f"{len(answer.found)} found" if answer.found else "nothing found"
    if answer.missing:
        said = f"{said + ', but ' if answer.found else ''}not asked: {answer.missing}"
    yield f"\n{answer.source}: {said}"
    yield from (f"  {line}" for line in answer.found)
    if answer.found:
        yield f"  {answer.remedy}"
    if answer.note:
        yield f"  {answer.note}"


def packages(kind: str, **qualifiers: str) -> list[Package]:
    """Return the packages of a kind, such as `pypi`, from the documents of all images."""
    images: dict[tuple[str, str], list[str]] = defaultdict(list)
    for file in sorted(Path("/sbom").glob("*.cdx.json")):
        document = json.loads(file.read_text())
        for component in document["components"]:
            purl = PackageURL.from_string(component["purl"])
            if purl.type == kind and qualifiers.items() <= purl.qualifiers.items():
                images[purl.name, purl.version or ""].append(document["metadata"]["component"]["name"])
    return [Package(name, version, ", ".join(where)) for (name, version), where in sorted(images.items())]


# --- whom to ask ------------------------------------------------------------------------------------------------------


def ask_pypi(installed: list[Package], osv: str | None) -> Answer:
    """Ask PyPI, or a server of OSV's kind, by pip-audit."""
    answer = Answer(osv or "PyPI", remedy=RAISE)
    service = ["--vulnerability-service", "osv", "--osv-url", osv] if osv else []
    with tempfile.TemporaryDirectory() as folder:
        # A file for each, because two images may have different versions of a package.
        files = []
        for number, package in enumerate(installed):
            file = Path(folder) / f"{number}.txt"
            file.write_text(f"{package.name}=={package.version}\n")
            files += ["--requirement", str(file)]
        done = subprocess.run(
            [*PIP_AUDIT, "--cache-dir", folder, *service, *files],
            capture_output=True,
            text=True,
        )
    try:
        report = json.loads(done.stdout)
    except ValueError:
        answer.missing = last_line(done.stderr)
        return answer
    holes: dict[tuple[str, str], list[dict[str, Any]]] = {
        (known["name"], known["version"]): known["vulns"] for known in report["dependencies"] if "vulns" in known
    }
    unknown = [package for package in installed if canonical(package) not in holes]
    if unknown:
        names = ", ".join(f"{package.name} {package.version}" for package in unknown[:3])
        answer.missing = f"it knows nothing of {len(unknown)} of {len(installed)} packages, such as {names}"
    for package in installed:
        for hole in holes.get(canonical(package), []):
            names = ", ".join([hole["id"], *hole["aliases"]])
            answer.found.append(f"{package}: {names}; mended in {', '.join(hole['fix_versions']) or 'no version yet'}")
    return answer


def ask_archive() -> Answer:
    """Return what Debian has newer versions of; ops/audit.sh has asked."""
    answer = Answer("Debian's archive", remedy=REBUILD)
    if not (SHARED / "updates").exists():
        why = (SHARED / "why").read_text()
        # apt's last line only says that something was wrong before.
        answer.missing = next((line for line in why.splitlines() if line.startswith("E: ")), last_line(why))
        return answer
    images: dict[str, list[str]] = defaultdict(list)
    for line in (SHARED / "updates").read_text().splitlines():
        image, name, here, there, kind = line.split()
        images[f"{name} {here} -> {there}{' (security)' if kind == 'security' else ''}"].append(image)
    answer.found = [f"{update} in {', '.join(where)}" for update, where in sorted(images.items())]
    return answer


def ask_tracker(installed: list[Package], url: str) -> Answer:
    """Ask Debian's security tracker, which knows the numbers of the holes, and those that are not mended."""
    answer = Answer("Debian's security tracker", remedy=REBUILD)
    with tempfile.NamedTemporaryFile() as file:
        try:
            with requests.get(f"{url}/data/json", stream=True, timeout=PATIENCE) as download:
                download.raise_for_status()
                for part in download.iter_content(2**20):
                    file.write(part)
            file.flush()
            scanner = SecurityScanner(Path(file.name), RELEASE)
        except (OSError, ValueError) as error:
            answer.missing = last_line(str(error))
            return answer
    unmended = 0
    for package in installed:
        mended: dict[str, list[str]] = defaultdict(list)
        for known in scanner.scan([SourcePackage(package.name, package.version)]):
            if not known.affected:
                continue
            hole = known.vulnerability
            if hole.status is CveStatus.RESOLVED and hole.fixed_version:
                mended[hole.fixed_version].append(hole.cve)
            elif hole.urgency is not CveUrgency.UNIMPORTANT:
                unmended += 1
        answer.found += [f"{package}: {', '.join(holes)}; mended in {fix}" for fix, holes in mended.items()]
    if unmended:
        answer.note = f"{unmended} more are known that Debian has not mended: {url}/status/release/stable"
    return answer


def canonical(package: Package) -> tuple[str, str]:
    """Return name and version as pip-audit writes them."""
    return canonicalize_name(package.name), str(Version(package.version))


def last_line(text: str) -> str:
    """Return the last line of what a program said: the reason, mostly."""
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "it does not answer")


if __name__ == "__main__":
    sys.exit(main())
