"""An extension for the reference pages: it turns our docstrings and comments into Markdown.

An example in a docstring, written with `>>>`, becomes a block of Python. The comment
at the end of a field's line becomes the description of the field.
"""

import re
from typing import Any

import griffe

_EXAMPLE = re.compile(r"^(?:(?:>>>|\.\.\.)(?: .*)?\n?)+", re.MULTILINE)
_PROMPT = re.compile(r"^(?:>>>|\.\.\.) ?", re.MULTILINE)
_COMMENT = re.compile(r"#\s+(?!Any:)([^\"']+)$")


def fence(text: str) -> str:
    """Turn each run of lines with prompts into a fenced block, without the prompts."""
    return _EXAMPLE.sub(lambda found: f"```python\n{_PROMPT.sub('', found[0]).rstrip()}\n```\n", text)


class Docstrings(griffe.Extension):
    """Rewrites each docstring when it is read, and finds the descriptions of fields."""

    def on_instance(self, *, obj: griffe.Object, **_: Any) -> None:
        """Rewrite the docstring of a module, class, function or attribute."""
        if obj.docstring is not None:
            obj.docstring.value = fence(obj.docstring.value)

    def on_attribute_instance(self, *, attr: griffe.Attribute, **_: Any) -> None:
        """Use the comment at the end of a field's line as its description."""
        if attr.docstring is not None or attr.endlineno is None:
            return
        line = attr.lines_collection[attr.filepath][attr.endlineno - 1]
        found = _COMMENT.search(line)
        if found is not None and not line.lstrip().startswith("self."):  # __init__ may set private attributes
            attr.docstring = griffe.Docstring(f"{found[1][0].upper()}{found[1][1:]}.", parent=attr)
