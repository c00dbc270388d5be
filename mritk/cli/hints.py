"""What a person meant who typed an option that ``mritk run`` does not have."""

from __future__ import annotations

RECIPE = (
    "it belongs to the recipe that all backbones share: write it in a protocol file, and run that "
    "with --protocol FILE.toml ('mritk show quick' shows every key of a protocol)"
)
DEVICE = "use --device cuda"
IN_RECIPE = ("epochs", "batch-size", "lr", "learning-rate", "image-size", "optimizer", "folds")
MEANT = {f"--{name}": RECIPE for name in IN_RECIPE} | {
    "--model": "use --backbone ARCH@WEIGHTS",
    "--data": "use --dataset folder:PATH",
    "--output": "use --results FOLDER",
    "--gpu": DEVICE,
    "--cuda": DEVICE,
    "--seed": "use --seeds N, the number of seeds",
}


def meant_by(option: str) -> str:
    """Return what to type instead of an unknown option, or nothing."""
    return MEANT.get(option.replace("_", "-"), "")
