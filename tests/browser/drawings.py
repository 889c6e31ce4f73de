"""Draws the Mermaid texts of the documentation; ops/drawings.sh calls it and says how."""

import re
import sys
from typing import Any

from playwright.sync_api import sync_playwright

from tests.browser.support import OPTIONS, find_chromium
from tests.support.drawings import drawings, mark
from tests.support.project import ROOT

#: Over the style of Mermaid's own. The names of colours are those of document_root/tokens.css.
STYLE = """
    text, tspan { fill: {text} !important; stroke: none; }
    .node .label { transform: translateY(-9.5px); }
    .node text { text-anchor: middle; }
    rect.actor, .node rect.basic { fill: {card}; stroke: {field}; filter: none; }
    .actor-line { stroke: {line} !important; stroke-width: 1px; }
    .messageText { stroke: {ground} !important; stroke-width: 5px; paint-order: stroke; }
    .messageLine0, .messageLine1, .transition { stroke: {quiet}; }
    marker path { fill: {quiet} !important; stroke: {quiet} !important; }
    rect.note { fill: {hover}; stroke: {field}; filter: none; }
    .edgeLabel rect { fill: {ground} !important; opacity: 1 !important; }
    .node circle, .node circle.state-start, .node path { fill: {quiet}; stroke: {quiet}; filter: none; }
"""

_DRAW = """async ([text, style]) => {
    mermaid.initialize({
        startOnLoad: false, securityLevel: "strict", look: "classic", theme: "neutral", themeCSS: style,
        fontFamily: "sans-serif", fontSize: 14, deterministicIds: true, htmlLabels: false,
        sequence: { useMaxWidth: false, wrap: true, mirrorActors: false, width: 112, height: 40, actorMargin: 24 },
        state: { useMaxWidth: false, htmlLabels: false },
        flowchart: { useMaxWidth: false, htmlLabels: false },
    });
    return (await mermaid.render("drawing", text)).svg;
}"""


def main() -> int:
    """Draw all of them; return the exit code."""
    program = find_chromium()
    if program is None:
        print("error: no Chromium is installed\n\nInstall it with: apt-get install chromium", file=sys.stderr)
        return 1
    style = _in_colours(STYLE)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=list(OPTIONS))
        page = browser.new_page()
        page.add_script_tag(path=sys.argv[1])
        for path, text in drawings():
            drawn: Any = page.evaluate(_DRAW, [text, style])
            path.parent.mkdir(exist_ok=True)
            drawn = drawn.replace("<svg ", '<svg style="color-scheme: light dark" ', 1)
            path.write_text(f"{mark(text)}\n{drawn}\n")
            print(f"{path.relative_to(ROOT)}  {path.stat().st_size / 1000:.0f} kB")
        browser.close()
    return 0


def _in_colours(style: str) -> str:
    """Return the style with the colours of the site, each for a light and for a dark page."""
    tokens = (ROOT / "document_root" / "tokens.css").read_text()
    colours = dict(re.findall(r"--([\w-]+): (light-dark\(.+?\));", tokens))
    return re.sub(r"\{([a-z]+)\}", lambda name: colours[name[1]], style)


if __name__ == "__main__":
    sys.exit(main())
