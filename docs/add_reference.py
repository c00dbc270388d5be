"""What mkdocs calls while it builds the site: add the pages that are made from the code."""

from __future__ import annotations

import logging
import re
from typing import Any

from mkdocs.structure.files import File, Files

from reference_pages import PAGES, gaps

# mkdocs counts the warnings of its own loggers; with --strict they stop the build.
logger = logging.getLogger("mkdocs.hooks.reference")


def on_files(files: Files, *, config: Any) -> Files:
    """Return ``files`` with the pages of the reference among them."""
    for gap in gaps():
        logger.warning("undocumented: %s", gap)
    for path, render in PAGES.items():
        files.append(File.generated(config, path, content=render()))
    return files


# Where a page is read as a file, a link leads to the code; on the site, to what is made of it.
MADE_OF = {
    "__init__.py": "names.md",
    "cli/main.py": "commands.md",
    "data/samples.py": "names.md",
    "errors.py": "commands.md",
    "plugins/hookspecs.py": "hooks.md",
    "records.py": "records.md",
    "method.py": "names.md",
    "method.py#method": "records.md",
}
TO_CODE = re.compile(r"\]\(\.\./((?:\.\./)*)mritk/([\w/]+\.py)(#[\w-]+)?\)")


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Return a page whose links into the code lead to the reference."""

    def led(link: re.Match[str]) -> str:
        above, file, anchor = link.groups()
        page = MADE_OF.get(f"{file}{anchor or ''}", MADE_OF.get(file))
        return f"]({above}reference/{page}{anchor or ''})" if page else link[0]

    return TO_CODE.sub(led, markdown)
