"""The pages of the reference, made from the code that they describe when the site is built."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from reference_pages import command_page, floors_page, hook_page, name_page, record_page

# By the path of the page on the site.
PAGES: Mapping[str, Callable[[], str]] = {
    "reference/hooks.md": hook_page.render,
    "reference/records.md": record_page.render,
    "reference/names.md": name_page.render,
    "reference/commands.md": command_page.render,
    "reference/floors.md": floors_page.render,
}


def gaps() -> list[str]:
    """Return what the code leaves undocumented, one line each; empty if nothing is."""
    pages = (hook_page, record_page, name_page, command_page, floors_page)
    return [gap for page in pages for gap in page.gaps()]
