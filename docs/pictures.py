"""Draws the pictures of the docs: each Graphviz text below this folder becomes an SVG with the same name.

    python docs/pictures.py

`dot` decides where things are. This script adds colours for light and dark pages: `class="blue"` in a text is the
class `blue` of the style sheet below. An SVG begins with the SHA-256 of its text, and a test compares the two.
"""

import hashlib
import subprocess
import sys
from pathlib import Path
from typing import Final
from xml.etree import ElementTree

DOCS: Final = Path(__file__).parent
SVG: Final = "{http://www.w3.org/2000/svg}"

_CORNER: Final = "12"  # px: the radius of the picture's corners
_STYLE: Final = """
svg { --paper: #ffffff; --edge: #d6dae1; --ink: #1f2430; --dim: #5b6475; --card: #ffffff; --line: #9aa4b5;
      --grey: #f1f3f6; --blue: #e3eefc; --green: #e2f3e6; --amber: #fdf0d5; --yours: #5446b8; --on-yours: #ffffff; }
@media (prefers-color-scheme: dark) {
  svg { --paper: #181b24; --edge: #343a48; --ink: #e6e9f0; --dim: #a3acbd; --card: #242936; --line: #768196;
        --grey: #1f242f; --blue: #1a2c45; --green: #1b3326; --amber: #3a2e17; --yours: #b9aeff; --on-yours: #1b1740; }
}
text { font-family: Helvetica, Arial, sans-serif; fill: var(--ink); stroke: none; }
text[fill="#777777"] { fill: var(--dim); }
.paper { fill: var(--paper); stroke: var(--edge); }
.edge path { stroke: var(--line); }
.edge polygon { fill: var(--line); stroke: var(--line); }
.edge text { fill: var(--dim); }
.node path { fill: var(--card); stroke: var(--line); }
.cluster path { stroke: var(--edge); }
.grey > path { fill: var(--grey); }
.blue > path { fill: var(--blue); }
.green > path { fill: var(--green); }
.amber > path { fill: var(--amber); }
.white > path { fill: var(--card); }
.yours > path { fill: var(--yours); stroke: var(--yours); }
.yours > text { fill: var(--on-yours); }
.peer > path { fill: none; stroke: var(--ink); }
"""


def draw(source: Path) -> None:
    """Write the SVG of a Graphviz text beside it."""
    text = source.read_bytes()
    drawn = subprocess.run(["dot", "-Tsvg"], input=text, stdout=subprocess.PIPE, check=True).stdout
    source.with_suffix(".svg").write_text(finish(drawn, hashlib.sha256(text).hexdigest()), "utf-8")


def finish(drawn: bytes, digest: str) -> str:
    """Return the SVG that `dot` has drawn, with colours, a title and the hash of its text."""
    ElementTree.register_namespace("", SVG.strip("{}"))
    root = ElementTree.fromstring(drawn)  # leaves out the comments, which name the version of dot
    title = root.findtext(f"{SVG}g/{SVG}title", "")
    for parent in list(root.iter()):
        for name in parent.findall(f"{SVG}title"):  # the names of nodes, which are for the text only
            parent.remove(name)
    left, top, width, height = (float(each) for each in root.attrib["viewBox"].split())
    root.attrib = {"viewBox": root.attrib["viewBox"], "width": f"{width:g}", "height": f"{height:g}", "role": "img"}
    paper = {"class": "paper", "rx": _CORNER, "width": f"{width - 1:g}", "height": f"{height - 1:g}"}
    head = [
        _element("title", title),
        _element("style", _STYLE),
        _element("rect", "", **paper, x=f"{left + 0.5:g}", y=f"{top + 0.5:g}"),
    ]
    for at, element in enumerate(head):
        root.insert(at, element)
    drawing = ElementTree.tostring(root, encoding="unicode")
    return f"<!-- made by docs/pictures.py; SHA-256 of the text: {digest} -->\n{drawing}\n"


def _element(tag: str, text: str, **attributes: str) -> ElementTree.Element:
    element = ElementTree.Element(SVG + tag, attributes)
    element.text, element.tail = text or None, "\n"
    return element


def main() -> None:
    """Draw all pictures."""
    for source in sorted(DOCS.rglob("*.dot")):
        draw(source)
        print(source.with_suffix(".svg").relative_to(DOCS.parent), file=sys.stderr)


if __name__ == "__main__":
    main()
