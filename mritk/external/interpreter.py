"""Another interpreter with its own packages: a virtual environment, or one that uv makes."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mritk.errors import Unavailable
from mritk.external.asked import Refused, asked
from mritk.external.environment import Environment, Launch, Mount
from mritk.external.program_files import file_digests
from mritk.external.variables import device_variables, own_variables
from mritk.files.user_path import user_path

# Asked of the interpreter itself: all that a program finds, packages of the user too, but for what
# lies in the folder where this is asked.
FREEZE = """
import sys
sys.path[:] = filter(None, sys.path)
import json, platform
from importlib.metadata import distributions
found = {}
for one in distributions():
    said = one.metadata  # read and parsed anew each time that it is asked for
    if said['Name']:
        found.setdefault(said['Name'].lower().replace('_', '-'), said['Version'])
print(json.dumps({'python': platform.python_version(), 'packages': dict(sorted(found.items()))}))
"""
PATIENCE_S = 600.0  # uv may have to download
PYTHON = re.compile(r"python[\d.]*(\.exe)?")
# Its options that take no value; the first word behind them is its script.
FLAGS = re.compile(r"-[bBdEiIOPqRsSuvx]+")
WINDOWS = sys.platform == "win32"
# A requirement that is a path, with or without a name; no address such as git+https://…
REQUIREMENT = re.compile(
    r"(?!.*(?:://|\bfile:))(?P<name>[\w.\-\[\], ]+@ *)?(?P<path>[.~].*|[^/\\]*[/\\].*)"
)


class _OnThisDisk(Environment):
    """Programs are files of this machine."""

    def located(self, program: Sequence[str]) -> tuple[tuple[str, ...], dict[str, str]]:
        """See :meth:`Environment.located`."""
        try:
            _require_script(program)
            found = [_file(word) for word in program]
            words = (str(file or word) for file, word in zip(found, program, strict=True))
            return tuple(words), file_digests([file for file in found if file])
        except OSError as error:
            raise Unavailable(f"a file of the program cannot be read: {error}") from error


@dataclass(frozen=True)
class Interpreter(_OnThisDisk):
    """An interpreter, and the programs beside it.

    Attributes:
        place: The interpreter, or the folder of its virtual environment.
    """

    place: Path

    @property
    def python(self) -> Path:
        """The interpreter.

        Raises:
            Unavailable: It is missing.
        """
        within = self.place / ("Scripts/python.exe" if WINDOWS else "bin/python")
        found = within if self.place.is_dir() else self.place
        if not found.is_file():
            raise Unavailable(
                f"there is no Python at {self.place}; create one with: python -m venv {self.place}"
            )
        return found.absolute()

    def launch(
        self,
        program: Sequence[str],
        mounts: Sequence[Mount],
        variables: Mapping[str, str],
        device: str = "cpu",
    ) -> Launch:
        """See :meth:`Environment.launch`."""
        name, *arguments = program
        path = str(self.python) if name == "python" else self._beside(name)
        return Launch((path, *arguments), {**device_variables(device), **variables})

    def _beside(self, name: str) -> str:
        """Return the path of one of the environment's programs, or of any file."""
        if Path(name).name != name:
            file = _file(name)
            if file is None:
                raise Unavailable(f"there is no program {name}")
            return str(file)
        folder = self.python.parent
        found = shutil.which(name, path=str(folder))
        if found is None:
            raise Unavailable(
                f"{folder} has no program {name}; install the package that provides it: "
                f"{self.python} -m pip install PACKAGE"
            )
        return found

    def lock(self) -> dict[str, Any]:
        """See :meth:`Environment.lock`."""
        return {"kind": "python", **frozen([str(self.python)])}


@dataclass(frozen=True)
class Uv(_OnThisDisk):
    """An environment that uv makes of requirements, and keeps in its cache.

    Attributes:
        requirements: As uv takes them, such as ``nnunetv2==2.8.1``.
        offline: Whether nothing may be downloaded.
    """

    requirements: tuple[str, ...]
    offline: bool = False

    @property
    def _prefix(self) -> list[str]:
        uv = shutil.which("uv")
        if uv is None:
            raise Unavailable(
                "there is no uv; install it with: python -m pip install uv, or name another "
                "environment"
            )
        named = [word for one in self.requirements for word in ("--with", _absolute(one))]
        # Otherwise uv builds upon the environment that it finds from a folder, or in PATH, and
        # takes the settings of a project there: the lock would be of another than the program's.
        apart = ["--isolated", "--no-project", "--project", Path(sys.base_prefix).anchor]
        if "UV_PYTHON" not in own_variables():
            apart += ["--python", sys.base_prefix]
        return [uv, "run", *(["--offline"] if self.offline else []), *apart, *named, "--"]

    def launch(
        self,
        program: Sequence[str],
        mounts: Sequence[Mount],
        variables: Mapping[str, str],
        device: str = "cpu",
    ) -> Launch:
        """See :meth:`Environment.launch`."""
        own = {"PATH": _path_without_this_environment(), **device_variables(device)}
        return Launch((*self._prefix, *program), {**own, **variables})

    def lock(self) -> dict[str, Any]:
        """See :meth:`Environment.lock`."""
        return {
            "kind": "uv",
            "requirements": list(self.requirements),
            **frozen([*self._prefix, "python"]),
        }


def _absolute(requirement: str) -> str:
    """Return a requirement that any folder understands, also if it is a path, as ``b @ ./b`` is."""
    found = REQUIREMENT.fullmatch(requirement)
    if found is None:
        return requirement
    return f"{found['name'] or ''}{user_path(found['path']).absolute()}"


def _path_without_this_environment() -> str:
    """Return PATH without mritk's programs: uv takes from there what its environment lacks.

    Where mritk is beside the programs of the system, all of that folder stays.
    """
    folders = os.environ.get("PATH", "").split(os.pathsep)
    if sys.prefix != sys.base_prefix:
        folders = [one for one in folders if Path(one) != Path(sys.executable).parent]
    return os.pathsep.join(folders)


def _file(word: str) -> Path | None:
    """Return the file that a word names; None for others, such as a line of code.

    Raises:
        OSError: Its folder cannot be read.
    """
    try:
        path = user_path(word)
        return path.absolute() if path.is_file() else None
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        return None


def _require_script(program: Sequence[str]) -> None:
    """Refuse a script of Python that is missing; what other words mean only the program knows.

    Raises:
        OSError: Its folder cannot be read.
        Unavailable: It is missing.
    """
    interpreter, *words = program or ("",)
    if not PYTHON.fullmatch(Path(interpreter).name):
        return
    word = next((word for word in words if not FLAGS.fullmatch(word)), "-")
    if not word.startswith("-") and not user_path(word).exists():
        absent = "" if user_path(word).is_absolute() else f" in {Path.cwd()}"
        raise Unavailable(f"there is no {word}{absent}")


def frozen(python: Sequence[str]) -> dict[str, Any]:
    """Return version, packages and their digest of the interpreter that a command runs.

    Raises:
        Unavailable: It does not run.
    """
    command = " ".join(python)
    try:
        found: dict[str, Any] = json.loads(asked([*python, "-c", FREEZE], PATIENCE_S))
    except Refused as why:
        if any(line.strip() in str(why) for line in FREEZE.splitlines() if line):
            raise Unavailable(f"{command} is not a Python") from why  # it took code for a file
        raise Unavailable(f"{command} does not run: {why}") from why
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        raise Unavailable(f"{command} is not a Python that runs: {error}") from error
    return {**found, "digest": digest_of(found)}


def digest_of(facts: Mapping[str, Any]) -> str:
    """Return the SHA-256 of plain data."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
