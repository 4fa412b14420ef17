"""For the reference: an example in a docstring, written with `>>>`, becomes a block of Python."""

import re
from typing import Any

import griffe

_EXAMPLE = re.compile(r"^(?:(?:>>>|\.\.\.)(?: .*)?\n?)+", re.MULTILINE)


def fence(text: str) -> str:
    """Put every run of lines with prompts into a fenced block, without the prompts."""
    return _EXAMPLE.sub(lambda found: "```python\n" + re.sub(r"(?m)^(>>>|\.\.\.) ?", "", found[0]).rstrip() + "\n```\n", text)


class Doctests(griffe.Extension):
    """Rewrites each docstring as it is read."""

    def on_instance(self, *, obj: griffe.Object, **_: Any) -> None:
        """Rewrite the docstring of a module, class, function or attribute."""
        if obj.docstring is not None:
            obj.docstring.value = fence(obj.docstring.value)
