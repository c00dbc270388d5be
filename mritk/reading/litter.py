"""What is never data, wherever it lies."""

from __future__ import annotations

# What systems and programs leave beside data, in lower case: never data, and never mentioned.
LITTER = frozenset(
    {
        *(".ds_store", ".localized", ".spotlight-v100", ".trashes", ".fseventsd", "__macosx"),
        *("thumbs.db", "ehthumbs.db", "desktop.ini", "$recycle.bin", "system volume information"),
        *(".directory", ".trash", "lost+found", "@eadir"),
        *(".git", ".gitignore", ".gitattributes", ".gitkeep", ".gitmodules", ".datalad", ".svn"),
        ".ipynb_checkpoints",
    }
)


def is_litter(name: str) -> bool:
    """Whether systems or programs left a file or folder of this name, so that it is no data.

    >>> is_litter("Thumbs.db"), is_litter("._scan1.png"), is_litter("scan1.png")
    (True, True, False)
    """
    lower = name.lower()
    return lower in LITTER or lower.startswith("._") or lower.endswith(".nfo")
