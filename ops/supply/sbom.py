"""Writes what an image is made of, as CycloneDX JSON. ops/sbom.sh runs this in a container of its own.

/shared/files.tar has the files in which the image itself says so: dpkg's list, the copyright files, the metadata of
Python's packages, and the package.json of what was copied from npm. Debian's packages are read by debsbom.
"""

import functools
import json
import logging
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import Distribution, distributions
from pathlib import Path

import debsbom.apt.copyright
from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import Property
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import License
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat, SchemaVersion
from debsbom.generate import Debsbom
from debsbom.sbom import SBOMType
from packageurl import PackageURL

SHARED = Path("/shared")

# debsbom reads SPDX's list of licences anew for each package, which takes most of its time.
debsbom.apt.copyright.get_spdx_licensing = functools.cache(debsbom.apt.copyright.get_spdx_licensing)


def main() -> None:
    """Read the archive and write the document beside it."""
    logging.getLogger("debsbom").setLevel(logging.ERROR)  # it misses who looks after a package that is not installed
    name, version, image_id = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder, tarfile.open(SHARED / "files.tar") as archive:
        archive.extractall(folder, filter="data")
        bom = describe(Path(folder), name, version, image_id)
    text = make_outputter(bom, OutputFormat.JSON, SchemaVersion.V1_6).output_as_string(indent=1)
    (SHARED / "sbom.json").write_text(text)


def describe(root: Path, name: str, version: str, image_id: str) -> Bom:
    """Return the document of the image whose files are in `root`."""
    debian = Debsbom(name, root, distro_version=version, with_licenses=True, timestamp=datetime.now(UTC))
    debian.scan()
    bom: Bom = debian.generate(SBOMType.CycloneDX)
    image = bom.metadata.component
    assert image is not None
    image.type = ComponentType.CONTAINER
    # What ops/sbom.sh looks for, to see whether the document is of this image.
    image.properties.add(Property(name="docker:image:id", value=image_id))
    others = [*from_pypi(root), *from_npm(root)]
    bom.components.update(others)
    bom.register_dependency(image, others)
    return bom


def from_pypi(root: Path) -> Iterator[Component]:
    """Yield the packages that pip has installed."""
    for folder in root.glob("venv/lib/python*/site-packages"):
        for package in distributions(path=[str(folder)]):
            purl = PackageURL("pypi", name=package.name, version=package.version)
            yield component(purl, package.name, licence_of(package))


def from_npm(root: Path) -> Iterator[Component]:
    """Yield the packages of npm whose files are served."""
    for file in root.glob("app/**/package.json"):
        package = json.loads(file.read_text())
        purl = PackageURL("npm", name=package["name"], version=package["version"])
        yield component(purl, package["name"], package["license"])


def licence_of(package: Distribution) -> str | None:
    """Return what a package says of its licence: in the newer form, in a few words, or as a class."""
    told = package.metadata
    for field in ("License-Expression", "License"):
        if field in told and "\n" not in (text := told[field]) and text not in ("", "UNKNOWN"):
            return text
    classes: list[str] = told.get_all("Classifier", [])
    return next((text.rpartition(" :: ")[2] for text in classes if text.startswith("License ::")), None)


def component(purl: PackageURL, name: str, licence: str | None) -> Component:
    """Return the entry of a package."""
    known: list[License] = [LicenseFactory().make_from_string(licence)] if licence else []
    return Component(
        name=name, version=purl.version, type=ComponentType.LIBRARY, purl=purl, bom_ref=str(purl), licenses=known
    )


if __name__ == "__main__":
    main()
