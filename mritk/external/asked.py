"""What a short command of another environment answers."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence

from mritk.external.variables import own_variables


class Refused(Exception):
    """A command ended with an error; the text is the last line that it wrote of it."""


def asked(command: Sequence[str], seconds: float) -> str:
    """Return what a command writes.

    Raises:
        Refused: It ended with an error.
        OSError: It cannot be started.
        subprocess.TimeoutExpired: It takes longer than ``seconds``.
    """
    try:
        ended = subprocess.run(
            command,
            env=own_variables(),
            capture_output=True,
            text=True,
            timeout=seconds,
            check=True,
        )
    except subprocess.CalledProcessError as error:
        lines = error.stderr.strip().splitlines() or [f"exit code {error.returncode}"]
        raise Refused(lines[-1]) from error
    return ended.stdout
