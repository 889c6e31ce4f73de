"""The Mermaid texts of the documentation, and the files that have them drawn."""

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

from tests.support.project import ROOT

_FENCE = re.compile(r"^```mermaid\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def drawings() -> Iterator[tuple[Path, str]]:
    """Yield the file of each drawing and its text. What they are called, ``webapp.pages.documents`` knows as well."""
    for page in sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]):
        for number, text in enumerate(_FENCE.findall(page.read_text()), start=1):
            yield ROOT / "docs" / "drawings" / f"{page.stem}-{number}.svg", text


def mark(text: str) -> str:
    """Return the comment that a drawing of this text has, so that a test sees when it is another text's."""
    return f"<!-- Drawn by ops/drawings.sh from a text with the SHA-256 {hashlib.sha256(text.encode()).hexdigest()} -->"
