"""A folder as a new user has it, and a way to type commands in it within this process."""

from __future__ import annotations

import io
import os
import shlex
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from mritk.cli.main import main

# An explicit VR little endian header with a preamble: enough to be known as DICOM.
DICOM = bytes(128) + b"DICM"


@dataclass(frozen=True)
class Typed:
    """What a command ended with, and the last line that it left on the screen."""

    code: int
    last: str
    screen: str


class Session:
    """Types commands one after the other; ``{trial}`` is the id of the first stored trial."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def type(self, line: str) -> Typed:
        """Run one line of a shell: ``mritk …``, perhaps with ``> FILE``."""
        if "{trial}" in line:
            line = line.format(trial=min((self.folder / "first/trials").glob("*.h5")).stem[:8])
        program, *words = shlex.split(line)
        assert program == "mritk"
        file = None
        if ">" in words:
            words, file = words[: words.index(">")], words[-1]
        screen = io.StringIO()
        output = io.StringIO() if file else screen
        before = Path.cwd()
        os.chdir(self.folder)
        try:
            with redirect_stdout(output), redirect_stderr(screen):
                code = main(words)
            if file:
                Path(file).write_text(output.getvalue(), encoding="utf-8")
        finally:
            os.chdir(before)
        lines = [text for text in screen.getvalue().splitlines() if text.strip()]
        return Typed(code, lines[-1] if lines else "", screen.getvalue())


def furnish(folder: Path, plugin: str, protocol: str) -> None:
    """Fill a folder with images per class, DICOM files, a single picture, a plugin, protocols."""
    noise = np.random.default_rng(0)
    for label in ("glioma", "none"):
        (folder / "imgs" / label).mkdir(parents=True)
        (folder / "dcm" / label).mkdir(parents=True)
        for number in range(10):
            pixels = noise.integers(0, 256, (40, 40), dtype=np.uint8)
            name = f"pat{number // 2}{label[0]}_{number}.png"
            Image.fromarray(pixels).save(folder / "imgs" / label / name)
        (folder / "dcm" / label / "1.dcm").write_bytes(DICOM)
    Image.fromarray(noise.integers(0, 256, (40, 40), dtype=np.uint8)).save(folder / "x.jpg")
    (folder / "mine.py").write_text(plugin, encoding="utf-8")
    (folder / "fast.toml").write_text(protocol, encoding="utf-8")
    (folder / "slip.toml").write_text(protocol.replace("batch_size", "batch_sise"))
    (folder / "large.toml").write_text(protocol.replace("batch_size = 16", "batch_size = 64"))
