"""A docstring taken apart: its text, its sections and their entries, as Markdown."""

from __future__ import annotations

import inspect
import re
import textwrap
from dataclasses import dataclass, field

SECTIONS = ("Args", "Attributes", "Yields", "Returns", "Raises", "Example")

# A reference to a module keeps its path; others lose it: ``mritk.errors.Unavailable`` reads better
# as ``Unavailable``.
MODULE = re.compile(r":mod:`([\w.]+)`")
NAME = re.compile(r":(?:class|data|func|attr|meth|exc):`(?:[a-z_]+\.)*([\w.]+)`")
HOOK = re.compile(r"`(mritk_[a-z_]+)`")


@dataclass(frozen=True)
class Docstring:
    """What a docstring says.

    Attributes:
        text: Everything before the first section, as Markdown.
        sections: The text of each section by its name, dedented and otherwise as it was written.
    """

    text: str = ""
    sections: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, documented: object) -> Docstring:
        """Return the docstring of a function or class; empty where it has none of its own."""
        own = vars(documented).get("__doc__") if isinstance(documented, type) else documented
        raw = own if isinstance(own, str) else getattr(documented, "__doc__", None)
        # A dataclass without a docstring is given its signature as one.
        if raw is None or (isinstance(documented, type) and raw.startswith(documented.__name__)):
            return cls()
        parts = re.split(rf"^({'|'.join(SECTIONS)}):\n", inspect.cleandoc(raw), flags=re.MULTILINE)
        named = zip(parts[1::2], parts[2::2], strict=True)
        return cls(
            markdown(parts[0]), {name: textwrap.dedent(body).strip("\n") for name, body in named}
        )

    @property
    def summary(self) -> str:
        """The first paragraph."""
        return self.text.split("\n\n")[0]

    def entries(self, section: str) -> dict[str, str]:
        """Return the ``name: text`` entries of a section, their texts as Markdown."""
        found = re.split(r"^(\w+): ", self.sections.get(section, ""), flags=re.MULTILINE)
        pairs = zip(found[1::2], found[2::2], strict=True)
        return {name: markdown(textwrap.dedent(" " * 4 + text)) for name, text in pairs}


def markdown(text: str) -> str:
    """Return the text of a docstring as Markdown: roles and literals in code, hooks as links."""
    text = NAME.sub(r"`\1`", MODULE.sub(r"`\1`", text))
    text = text.replace("``", "`")
    text = HOOK.sub(r"[`\1`](hooks.md#\1)", text)
    return re.sub(r"^ +(?=\S)", "", text, flags=re.MULTILINE).strip()
