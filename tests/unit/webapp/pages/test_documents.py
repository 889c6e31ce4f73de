"""The documentation within the site: every page is there, links and pictures lead somewhere, the policy is kept."""

import re
from posixpath import join, normpath
from xml.etree import ElementTree

import pytest
from apiflask import APIFlask
from webapp.pages.documents import DOCUMENTS

from tests.support.drawings import drawings, mark
from tests.support.project import ROOT


def shown(app: APIFlask, document: str) -> str:
    answer = app.test_client().get(f"/{document}.md", headers={"Accept": "text/html"})
    assert answer.status_code == 200
    return answer.text


def test_all_pages_are_there() -> None:
    there = {str(path.relative_to(ROOT).with_suffix("")) for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]}
    assert there == set(DOCUMENTS)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_and_pictures_lead_somewhere(app: APIFlask, document: str) -> None:
    page = shown(app, document)
    article = page[page.index("<article>") :]
    assert "<h1" in article
    for link in re.findall(r'(?:href|src|srcset)="([^"]+)"', article):
        if link.startswith(("http://", "https://")):
            continue
        path, _, place = link.partition("#")
        target = normpath(join("/", document, "..", path)) if path else f"/{document}.md"
        if target.endswith(".md"):
            assert f'id="{place}"' in shown(app, target[1:-3]) or not place, link
        else:
            assert target.startswith("/docs/"), link  # Nginx serves it
            assert (ROOT / target[1:]).is_file(), link


@pytest.mark.parametrize("document", DOCUMENTS)
def test_no_style_stands_inside_a_page(app: APIFlask, document: str) -> None:
    assert not re.search("<style| style=", shown(app, document))


def test_what_is_drawn_is_up_to_date() -> None:
    drawn = dict(drawings())
    assert set((ROOT / "docs/drawings").iterdir()) == set(drawn)
    for path, text in drawn.items():
        assert path.read_text().startswith(mark(text)), f"{path.name}: run ops/drawings.sh"
        ElementTree.parse(path)  # or browsers show nothing


def test_figures_of_a_table_stand_at_the_right(app: APIFlask) -> None:
    assert '<td class="number">' in shown(app, "docs/benchmarks")


def test_programs_get_the_text(app: APIFlask) -> None:
    answer = app.test_client().get("/docs/tour.md")
    assert answer.mimetype == "text/markdown"
    assert answer.text == (ROOT / "docs/tour.md").read_text()
    assert "Accept" in answer.vary


@pytest.mark.parametrize("path", ["/docs/nothing.md", "/docs/README.md", "/LICENSE.md"])
def test_what_is_no_page_is_not_found(app: APIFlask, path: str) -> None:
    assert app.test_client().get(path).status_code == 404
