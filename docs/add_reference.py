"""What mkdocs calls while it builds the site: add the pages that are made from the code."""

from __future__ import annotations

import logging
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
