"""What a person meant who typed an option that ``mritk run`` does not have."""

from __future__ import annotations

from collections.abc import Iterable

RECIPE = (
    "it is part of the protocol shared by all backbones: write all keys to a file with 'mritk "
    "show quick --toml > FILE.toml', change it there, and run with --protocol FILE.toml"
)
DEVICE = "use --device cuda"
IN_RECIPE = ("epochs", "batch-size", "lr", "learning-rate", "image-size", "optimizer", "folds")
MEANT = {f"--{name}": RECIPE for name in IN_RECIPE} | {
    "--model": "use --backbone ARCH@WEIGHTS",
    "--data": "use --dataset folder:PATH",
    "--output": "use --results FOLDER",
    "--gpu": DEVICE,
    "--cuda": DEVICE,
    "--folder": "use --dataset folder:PATH",
    "--seed": "use --seeds N, the number of seeds",
}

# Options that write, rewrite or delete files: never offered for another word, lest they are tried.
WRITING = frozenset(
    {
        *("--output", "--update", "--html", "--into", "--keep", "--keep-models"),
        *("--rerun", "--fix", "--all", "--unfinished", "--yes"),
    }
)


def harmless(options: Iterable[str]) -> list[str]:
    """Return those of ``options`` that may be offered for one that does not exist."""
    return [option for option in options if option not in WRITING]


def meant_by(option: str) -> str:
    """Return what to type instead of an unknown option, or nothing."""
    return MEANT.get(option.replace("_", "-"), "")
