"""The page of all hooks, from :mod:`mritk.plugins.hookspecs`."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from types import ModuleType

from mritk.plugins import hookspecs
from mritk.plugins.loading import NOUNS
from reference_pages.described import bare_signature
from reference_pages.docstring import Docstring, markdown

KINDS = {
    "noun": "Called once, when the plugin is loaded",
    "command": "Called when the command line asks for a command that mritk does not know, or for "
    "the list of all; the plugin that was loaded last comes first",
    "moment": "Called in a run; what it returns is ignored; the plugin that was loaded last comes "
    "first",
}


def hooks(module: ModuleType = hookspecs) -> dict[str, Callable[..., object]]:
    """Return the hook specifications of a module by name, in the order of the source."""
    return {name: value for name, value in vars(module).items() if hasattr(value, "mritk_spec")}


def kind_of(name: str) -> str:
    """Return ``noun``, ``command`` or ``moment``."""
    if name.removeprefix("mritk_") in NOUNS:
        return "noun"
    return "command" if name == "mritk_commands" else "moment"


def gaps(module: ModuleType = hookspecs) -> list[str]:
    """Return what is undocumented: hooks, their arguments, their examples."""
    return [
        f"hook {name}: {gap}"
        for name, hook in hooks(module).items()
        for gap in _gaps_of(hook, kind_of(name))
    ]


def _gaps_of(hook: Callable[..., object], kind: str) -> Iterator[str]:
    docstring = Docstring.of(hook)
    if not docstring.text:
        yield "no docstring"
    if not docstring.sections.get("Example"):
        yield "no Example"
    if kind == "noun" and not docstring.sections.get("Yields"):
        yield "nothing under Yields"
    described = docstring.entries("Args")
    for argument in inspect.signature(hook).parameters:
        if argument not in described:
            yield f"argument {argument} is not under Args"


def render() -> str:
    """Return the page as Markdown."""
    head = Docstring(markdown(inspect.cleandoc(hookspecs.__doc__ or ""))).text
    sections = [_section(name, hook) for name, hook in hooks().items()]
    return "\n\n".join(["# Hooks", head, *sections]) + "\n"


def _section(name: str, hook: Callable[..., object]) -> str:
    kind, docstring = kind_of(name), Docstring.of(hook)
    blocks = [
        f"## {name} {{ #{name} data-toc-label='{name}' }}",
        f"```python\ndef {name}{bare_signature(hook)}\n```",
        docstring.text,
        f"**{kind.capitalize()}.** {KINDS[kind]}.{_first_result(hook)}",
    ]
    if kind == "noun":
        blocks.append(f"Yields {_records(name)}. {markdown(docstring.sections.get('Yields', ''))}")
    blocks += [f"`{name}`\n:   {text}" for name, text in docstring.entries("Args").items()]
    if "Example" in docstring.sections:
        blocks.append(f"```python\n{docstring.sections['Example']}\n```")
    return "\n\n".join(blocks)


def _first_result(hook: Callable[..., object]) -> str:
    options = getattr(hook, "mritk_spec")  # noqa: B009 - set by pluggy's marker
    answer = " The first plugin that returns something but None answers alone."
    return answer if options["firstresult"] else ""


def _records(name: str) -> str:
    kinds = [kind.__name__ for kind in NOUNS[name.removeprefix("mritk_")]]
    links = [f"[`{kind}`](records.md#{kind.lower()})" for kind in kinds]
    return f"{', '.join(links[:-1])} or {links[-1]}" if links[1:] else links[0]
