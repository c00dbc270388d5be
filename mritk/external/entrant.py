"""A program that takes part in a benchmark: where it runs, what it is made of, how long it may."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from mritk.errors import Unavailable
from mritk.external.asked import Refused, asked
from mritk.external.container import PATIENCE_S, SHA256, is_of
from mritk.external.environment import Environment, Mount, find_environment
from mritk.external.interpreter import digest_of
from mritk.external.program import ANY_TIME, Patience, ignore_line, run_program

# What a program in Python says is in its log at once.
# Packages of the user's own folder are not in the lock, so the program does not see them.
UNBUFFERED = {"PYTHONUNBUFFERED": "1", "PYTHONNOUSERSITE": "1"}


@dataclass(frozen=True)
class Entrant:
    """A program and its environment.

    Attributes:
        name: What errors, and the trial file, call it.
        environment: Where it runs.
        program: The first words of its command; arguments follow.
        device: The torch device that it may use.
        patience: How long a run of it may take.
    """

    name: str
    environment: Environment
    program: tuple[str, ...] = ()
    device: str = "cpu"
    patience: Patience = ANY_TIME

    @classmethod
    def named(
        cls,
        name: str,
        environment: str,
        program: Sequence[str] = (),
        *,
        device: str = "cpu",
        patience: Patience = ANY_TIME,
        offline: bool = False,
    ) -> Entrant:
        """Return the entrant of an environment given as text.

        Raises:
            UsageError: The text names none.
        """
        found = find_environment(environment, offline=offline)
        return cls(name, found, tuple(program), device, patience)

    @cached_property
    def _located(self) -> tuple[tuple[str, ...], dict[str, str]]:
        return self.environment.located(self.program)

    @cached_property
    def lock(self) -> dict[str, Any]:
        """What it is made of, JSON-able: environment, files of the program, ``digest`` of both.

        Raises:
            Unavailable: The environment is missing, or does not work.
        """
        _, files = self._located
        found = {"environment": self.environment.lock(), "files": files}
        return {**found, "digest": digest_of(found)}

    def require(self, digest: str = "", version: str = "") -> None:
        """Refuse another program than the one that was declared.

        Args:
            digest: That of its lock; empty: any.
            version: ``sha256:`` and the digest of its image, or the first 12 or more digits of it;
                any other text is a name that nobody can check.

        Raises:
            Unavailable: It is another one.
        """
        if digest and digest != self.lock["digest"]:
            raise Unavailable(
                f"{self.name} is not what the protocol wants: its lock has digest "
                f"{self.lock['digest']}, not {digest}; restore its environment and program, or "
                "set digest anew"
            )
        own = self.lock["environment"]
        if version.startswith(SHA256) and not is_of(version.removeprefix(SHA256), own):
            also = "".join(f", {name}" for name in own.get("repository_digests", ()))
            raise Unavailable(
                f"{self.name} is not the version {version} that the protocol wants: its "
                f"environment is {SHA256}{own['digest']}{also}; fetch the right one, or set "
                "version anew"
            )

    def answer(self, words: Sequence[str]) -> str:
        """Return what a short command of its environment writes, such as ``python --version``.

        Raises:
            Unavailable: The command ends with an error, or cannot be started.
        """
        launch = self.environment.launch(words, (), UNBUFFERED)
        try:
            return asked(launch.command, PATIENCE_S)
        except Refused as why:
            raise Unavailable(f"{words[0]} fails in the environment of {self.name}: {why}") from why
        except (OSError, subprocess.TimeoutExpired) as error:
            raise Unavailable(f"the environment of {self.name} does not answer: {error}") from error

    def run(
        self,
        arguments: Sequence[str],
        folder: Path,
        log: Path,
        *,
        mounts: Sequence[Mount] = (),
        variables: Mapping[str, str] | None = None,
        on_line: Callable[[str], None] = ignore_line,
    ) -> None:
        """Run it with arguments, to its end; see :func:`mritk.external.run_program`.

        Args:
            arguments: They follow the words of the program.
            folder: Its working folder.
            log: The file to which its output is added.
            mounts: The folders that it may use.
            variables: Environment variables.
            on_line: Is given each line of its output.

        Raises:
            Unavailable: The program is missing, or its image another one than that of its lock.
            ProgramFailed: It ended with an error, or took too long.
        """
        if "lock" in vars(self):  # what a trial file says of it holds for every run
            self.environment.require(self.lock["environment"])
        words, _ = self._located
        known = {**UNBUFFERED, **(variables or {})}
        launch = self.environment.launch([*words, *arguments], mounts, known, self.device)
        run_program(launch, self.name, folder, log, self.patience, on_line)

    @property
    def provenance(self) -> dict[str, Any]:
        """What a trial file keeps of it."""
        return {"external": {self.name: self.lock}}
