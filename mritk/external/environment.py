"""The environments that a program can run in, as a protocol or a variable names them.

here                    the interpreter that runs mritk
python:PATH, PATH       another interpreter, or the folder of a virtual environment; PATH alone
                        holds a / and begins with no WORD:
uv:REQUIREMENT,…        an environment that uv makes and keeps
docker:IMAGE, podman:IMAGE, apptainer:FILE.sif      a container
"""

from __future__ import annotations

import re
import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mritk.errors import UsageError
from mritk.files.user_path import user_path

FORMS = "here, python:PATH, uv:REQUIREMENT, docker:IMAGE, podman:IMAGE or apptainer:FILE.sif"

# Such as dcoker:team/entrant, which is no path; one letter is a drive of Windows.
MISSPELT = re.compile(r"\w{2,}:")


@dataclass(frozen=True)
class Mount:
    """A folder that a program may use.

    Attributes:
        host: The folder on this machine.
        inside: Its path in a container.
        writable: Whether the program may write into it.
    """

    host: Path
    inside: str
    writable: bool = False


@dataclass(frozen=True)
class Launch:
    """What is started.

    Attributes:
        command: The words of the command line.
        variables: Environment variables beside the usual ones.
        cleanup: Commands that remove what the end of the process leaves.
    """

    command: tuple[str, ...]
    variables: Mapping[str, str] = field(default_factory=dict)
    cleanup: tuple[tuple[str, ...], ...] = ()


class Environment(ABC):
    """Where a program and its packages are."""

    @abstractmethod
    def launch(
        self,
        program: Sequence[str],
        mounts: Sequence[Mount],
        variables: Mapping[str, str],
        device: str = "cpu",
    ) -> Launch:
        """Return how to start a program.

        Args:
            program: Its name and arguments. A name without a folder is one of the environment's
                programs; empty: what a container runs by itself, or arguments that begin with
                ``-`` to it.
            mounts: The folders that it may use. Only a container keeps others from it.
            variables: Environment variables.
            device: ``cpu``, ``cuda`` or ``cuda:N``.

        Raises:
            Unavailable: The environment or the program is missing.
        """

    @abstractmethod
    def lock(self) -> dict[str, Any]:
        """Return what tells this environment from others, as JSON-able data.

        Versions of Python and of all packages, or the digest of an image; ``digest`` is the SHA-256
        of these, or of the image.

        Raises:
            Unavailable: The environment is missing, or does not work.
        """

    def require(self, lock: Mapping[str, Any]) -> None:  # noqa: B027 - few can become another
        """Refuse what has become another environment since its lock was taken, unseen.

        That is the name of an image: whoever builds anew gives it to another one.

        Raises:
            Unavailable: It has.
        """

    def located(self, program: Sequence[str]) -> tuple[tuple[str, ...], dict[str, str]]:
        """Return a program with the files that it names as absolute paths, and their SHA-256.

        Modules beside a script in Python count, too. In a container, its words are of the image,
        whose digest tells of its files.

        Raises:
            Unavailable: A file cannot be read, or the script of a ``python`` is missing.
        """
        return tuple(program), {}

    def path(self, host: Path, mounts: Sequence[Mount]) -> str:
        """Return the path by which a program knows a file or folder of this machine."""
        return str(host)


def find_environment(text: str, *, offline: bool = False) -> Environment:
    """Return the environment that a text names.

    Args:
        text: See the module.
        offline: Whether nothing may be downloaded.

    Raises:
        UsageError: The text names none.
    """
    from mritk.external.container import ENGINES, Container
    from mritk.external.interpreter import Interpreter, Uv

    kind, _colon, rest = text.partition(":")
    if text == "here":
        return Interpreter(Path(sys.executable))
    if kind in ENGINES and rest:
        return Container(kind, rest)
    if kind == "uv" and rest:
        # A comma also stands between two bounds of a version: numpy>=1.20,<2.
        parts = [part.strip() for part in re.split(r",(?!\s*[<>=!~])", rest)]
        if any(parts):
            return Uv(tuple(filter(None, parts)), offline=offline)
    if kind == "python" and rest:
        return Interpreter(user_path(rest))
    if ("/" in text or "\\" in text) and not MISSPELT.match(text):
        return Interpreter(user_path(text))
    raise UsageError(f"environment {text!r} names none; write {FORMS}")
