"""README.md, its neighbours and the pages of docs/: in a browser within the site, for programs as they are."""

import re
from functools import cache
from html import escape
from pathlib import Path
from typing import Any

from apiflask import APIBlueprint
from flask import Response
from markdown_it import MarkdownIt

from webapp.negotiation import wants_html
from webapp.problems import Problem
from webapp.rendering import render

blueprint = APIBlueprint("documents", __name__, enable_openapi=False)

#: The folder above with README.md: the repository, or that of the application in its container.
_ROOT = next(folder for folder in Path(__file__).parents if (folder / "README.md").exists())

#: All pages, in the order of reading.
DOCUMENTS = (
    "README",
    *(f"docs/{name}" for name in ("tour", "api", "adding_a_job", "operations", "beyond_one_machine", "design")),
    *(f"docs/{name}" for name in ("reliability", "security", "benchmarks")),
    "CONTRIBUTING",
    "CHANGELOG",
)


@blueprint.get("/docs/<name>.md", defaults={"folder": "docs/"})
@blueprint.get("/<any(README, CONTRIBUTING, CHANGELOG):name>.md", defaults={"folder": ""})
def show(folder: str, name: str) -> Response:
    """Show one page. Raises a 404 problem if there is none of this name."""
    document = folder + name
    if document not in DOCUMENTS:
        raise Problem(404, f"There is no page {document}.md.")
    if not wants_html():
        return Response(_text(document), mimetype="text/markdown")
    return Response(
        render(
            "document.html",
            title=_title(document),
            text=_rendered(document),
            document=document,
            documents=[(other, _title(other)) for other in DOCUMENTS],
        ),
        mimetype="text/html",
    )


@cache
def _text(document: str) -> str:
    return (_ROOT / f"{document}.md").read_text()


@cache
def _title(document: str) -> str:
    return _text(document).partition("\n")[0].removeprefix("# ")


@cache
def _rendered(document: str) -> str:
    """Return the HTML of a page. Headings have the ids that GitHub gives them, so that links to them work here, too."""
    tokens = _markdown.parse(_text(document))
    for token, inside, end in zip(tokens, tokens[1:], tokens[2:], strict=False):
        if token.type == "heading_open":
            token.attrSet("id", re.sub(r"[^\w\- ]", "", inside.content.lower()).replace(" ", "-"))
        elif token.type in ("th_open", "td_open"):
            if token.attrs.pop("style", "") == "text-align:right":
                token.attrSet("class", "number")  # the policy of the site allows no style inside a page
            if not inside.content:
                token.tag = end.tag = "td"  # a corner is no heading
    return str(_markdown.renderer.render(tokens, _markdown.options, {"name": document.rpartition("/")[2]}))


def _fence(_renderer: Any, tokens: Any, place: int, _options: Any, env: Any) -> str:
    text = f'<pre tabindex="0"><code>{escape(tokens[place].content)}</code></pre>\n'
    if tokens[place].info != "mermaid":
        return text
    # ops/drawings.sh draws them.
    env["drawings"] = env.get("drawings", 0) + 1
    drawing = f"/docs/drawings/{env['name']}-{env['drawings']}.svg"
    return (
        f'<div class="wide drawing" role="group" aria-label="Drawing" tabindex="0">'
        f'<img src="{drawing}" alt="What the text below describes"></div>\n'
        f"<details><summary>The drawing as text</summary>\n{text}</details>\n"
    )


_markdown = MarkdownIt("commonmark").enable("table")
_markdown.add_render_rule("fence", _fence)
# What is too wide can be pushed sideways, by keyboard as well.
_markdown.add_render_rule("table_open", lambda *_: '<div class="wide" role="group" tabindex="0"><table>\n')
_markdown.add_render_rule("table_close", lambda *_: "</table></div>\n")
