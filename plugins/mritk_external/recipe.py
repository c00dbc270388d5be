"""The parameters of ``external`` and ``fomo_container``.

Where a program is, and how long it may take, is not in the fingerprint; what it is called is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mritk import UsageError
from mritk.external import find_environment

SHAPES_NOTHING = {"fingerprint": False}
UNLESS_DEFAULT = {"fingerprint": "unless default"}
CONTAINERS = ("docker", "podman", "apptainer")
DIGEST = re.compile(r"sha256:[0-9a-f]{12,64}")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True)
class _Program:
    """What both methods are told of a program.

    Attributes:
        name: What it is called in tables and errors.
        version: Its version, which tells two of one name apart. ``sha256:DIGEST`` is that of its
            image, and another image is refused; any other text is not checked.
        environment: Where it runs: ``here``, ``python:PATH``, ``uv:REQUIREMENT,…``,
            ``docker:IMAGE``, ``podman:IMAGE`` or ``apptainer:FILE.sif``.
        program: The first words of its command; ``python`` is the interpreter of the environment.
            A container may leave it empty.
        digest: The digest of its lock, as an earlier trial file has it; another one is refused.
    """

    name: str
    version: str = ""
    environment: str = field(default="here", metadata=SHAPES_NOTHING)
    program: tuple[str, ...] = field(default=(), metadata=SHAPES_NOTHING)
    digest: str = field(default="", metadata=UNLESS_DEFAULT)

    def __post_init__(self) -> None:
        """Refuse a name or an environment that is none, and a command of no words."""
        if not NAME.fullmatch(self.name):
            raise ValueError("name must consist of letters, digits, '.', '_' and '-'")
        if self.version.startswith("sha256:") and not DIGEST.fullmatch(self.version):
            raise ValueError("version must be sha256: and 12 to 64 hexadecimal digits, or a name")
        try:
            find_environment(self.environment)
        except UsageError as error:
            raise ValueError(str(error)) from error
        if not self.program and self.environment.partition(":")[0] not in CONTAINERS:
            raise ValueError("program must be the words of a command, such as ['python', 'own.py']")


@dataclass(frozen=True)
class ExternalRecipe(_Program):
    """Parameters of the method ``external``, beside those of :class:`_Program`.

    Attributes:
        settings: What the program is told beside the cases; part of the fingerprint.
        hours: A run may take so many; 0: any time.
        silent_minutes: And so many without a sign of life; 0: any time, as some programs say
            nothing until they are done.
    """

    settings: Mapping[str, Any] = field(default_factory=dict, hash=False)
    hours: float = field(default=24.0, metadata=SHAPES_NOTHING)
    silent_minutes: float = field(default=0.0, metadata=SHAPES_NOTHING)

    def __post_init__(self) -> None:
        """Refuse times below 0; see also :class:`_Program`."""
        super().__post_init__()
        _require_times(hours=self.hours, silent_minutes=self.silent_minutes)


@dataclass(frozen=True)
class FomoRecipe(_Program):
    """Parameters of the method ``fomo_container``, beside those of :class:`_Program`.

    Attributes:
        inputs: By channel of the dataset, the argument that takes it, as in ``{t1ce = "t1"}``;
            others take the argument of their own name, and samples without channels ``input``. An
            empty argument leaves a channel out.
        minutes: One case may take so many; FOMO gives 15.
    """

    inputs: Mapping[str, str] = field(default_factory=dict, hash=False)
    minutes: float = field(default=15.0, metadata=SHAPES_NOTHING)

    def __post_init__(self) -> None:
        """Refuse a time below 0; see also :class:`_Program`."""
        super().__post_init__()
        _require_times(minutes=self.minutes)


def _require_times(**times: float) -> None:
    for name, time in times.items():
        if time < 0:
            raise ValueError(f"{name} must be 0, for any time, or more")
