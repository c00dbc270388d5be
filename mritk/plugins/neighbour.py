"""What a plugin of one file lacks when it imports what lies beside it."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from shlex import quote


def neighbour_hint(error: BaseException | None, file: Path) -> str:
    """Return how a file whose import failed is loaded with its neighbours; empty if it asked for
    none of them."""
    if isinstance(error, ModuleNotFoundError):
        beside = file.parent / (error.name or "").partition(".")[0]
        if not (error.name and (beside.with_suffix(".py").is_file() or beside.is_dir())):
            return ""
        folder, module = file.parent, file.stem
    elif isinstance(error, ImportError) and "relative import" in str(error):
        folder, module = file.parent.parent, f"{file.parent.name}.{file.stem}"
    else:
        return ""
    hint = "; a plugin that '-p' names as a file cannot import its neighbours"
    if not all(part.isidentifier() for part in module.split(".")):
        return hint
    with suppress(ValueError):
        folder = folder.relative_to(Path.cwd())
    return f"{hint}, as a module it can: 'PYTHONPATH={quote(str(folder))} mritk … -p {module}'"
