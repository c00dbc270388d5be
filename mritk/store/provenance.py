"""Where a result comes from: versions, machine, code, command line."""

from __future__ import annotations

import platform
import subprocess
import sys
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import mritk
from mritk.files.code_state import versions

PACKAGES = (
    "torch",
    "torchvision",
    "timm",
    "numpy",
    "scipy",
    "scikit-learn",
    "h5py",
    "pillow",
    "pluggy",
    "nilearn",
    "nibabel",
)


def collect(device: str, plugins: Sequence[str], command: Sequence[str]) -> dict[str, Any]:
    """Return the provenance of a run as JSON-able data.

    Args:
        device: The torch device that computes.
        plugins: Every loaded plugin with distribution and version.
        command: The command line.
    """
    commit, dirty = _source_state()
    return {
        "mritk": mritk.__version__,
        "commit": commit,
        "dirty": dirty,
        "python": platform.python_version(),
        "packages": dict(text.split(" ", 1) for text in versions(PACKAGES)),
        "loaded_plugins": list(plugins),
        "machine": _machine(device),
        "command": list(command),
        "started": datetime.now(timezone.utc).isoformat(timespec="seconds"),
    }


def _machine(device: str) -> dict[str, Any]:
    import torch

    machine: dict[str, Any] = {
        "platform": platform.platform(),
        "processor": _processor(),
        "threads": torch.get_num_threads(),
        "device": device,
    }
    if device.startswith("cuda"):
        machine["gpu"] = torch.cuda.get_device_name(device)
        machine["cuda"] = torch.version.cuda
        machine["cudnn"] = torch.backends.cudnn.version()
    return machine


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def _source_state() -> tuple[str, bool]:
    """Return mritk's own commit and whether its files differ from it; empty for a release.

    The repository asked is the one that holds this package, not the one the user stands in.
    """
    root = Path(mritk.__file__).resolve().parents[1]
    if not (root / ".git").exists():
        return "", False
    try:
        commit = _git(root, "rev-parse", "HEAD")
        return commit, bool(_git(root, "status", "--porcelain", "--", "mritk", "plugins"))
    except (OSError, subprocess.SubprocessError):
        return "", False


def _git(root: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(root), *arguments],
        capture_output=True,
        text=True,
        timeout=10,
        check=True,
    )
    return done.stdout.strip()


def command_line() -> list[str]:
    """Return the present command line, the program's name without its folder."""
    return [Path(sys.argv[0]).name, *sys.argv[1:]]
