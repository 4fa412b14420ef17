"""An extension for the reference pages: it turns our docstrings and comments into Markdown.

An example in a docstring, written with `>>>`, becomes a block of Python. The comment
at the end of a field's line becomes the description of the field. Of a default only the
value is shown, and not how the package writes it.
"""

import ast
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

    def on_function(self, *, func: griffe.Function, loader: griffe.GriffeLoader, **_: Any) -> None:
        """Show the value of a default that is a constant of the package's own."""
        for each in func.parameters:
            if str(each.default) == "codec.NO_BODY":
                each.default = "{}"
            elif isinstance(each.default, griffe.ExprName) and each.default.canonical_path.startswith("simplysocket."):
                found = loader.modules_collection[each.default.canonical_path]
                each.default = found.value if found.is_attribute else each.default

    def on_attribute_instance(self, *, attr: griffe.Attribute, **_: Any) -> None:
        """Show a field's default, and use the comment at the end of its line as its description."""
        if str(attr.value).startswith("attrs.field("):
            given = {each.arg: each.value for each in ast.parse(str(attr.value), mode="eval").body.keywords}
            made = [f"{ast.unparse(given['factory'])}()"] if "factory" in given else []
            attr.value = ast.unparse(given["default"]) if "default" in given else next(iter(made), None)
        if attr.docstring is not None or attr.endlineno is None:
            return
        line = attr.lines_collection[attr.filepath][attr.endlineno - 1]
        found = _COMMENT.search(line)
        if found is not None and not line.lstrip().startswith("self."):  # __init__ may set private attributes
            attr.docstring = griffe.Docstring(f"{found[1][0].upper()}{found[1][1:]}.", parent=attr)
