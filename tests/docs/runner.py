"""A runner for the sample workflow: its steps one after the other, actions played by hand."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

# What GitHub runs a step with that asks for bash.
BASH = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c"]


@dataclass
class Runner:
    """Plays a job of a workflow in a folder.

    Attributes:
        folder: The checked-out repository.
        caches: What ``actions/cache`` has kept, by path and key; shared by all runs.
        environ: What the steps see beside the environment of the workflow.
        skip: Names of steps that are not run.
    """

    folder: Path
    caches: dict[tuple[str, str], Path]
    environ: Mapping[str, str]
    skip: tuple[str, ...] = ()
    outputs: dict[str, str] = field(default_factory=dict)
    ended: dict[str, str] = field(default_factory=dict)
    log: str = ""

    def run(self, workflow: Mapping[str, Any], facts: Mapping[str, str]) -> bool:
        """Run the only job; return whether all its steps succeeded.

        Args:
            workflow: The parsed file.
            facts: Values of expressions, such as ``github.event_name``.
        """
        (job,) = workflow["jobs"].values()
        assert job["defaults"]["run"]["shell"] == "bash", "a failure within a pipe counts"
        fine = True
        for step in job["steps"]:
            name = step.get("name") or step["uses"]
            condition = step.get("if", "success()")
            known = {**facts, **self.outputs}
            if not _holds(condition, known) or not (fine or "always()" in condition):
                self.ended[name] = "skipped"
                continue
            good = name in self.skip or self._step(step, known, workflow["env"])
            self.ended[name] = "success" if good else "failure"
            fine = fine and good
        return fine

    def _step(
        self, step: Mapping[str, Any], known: Mapping[str, str], env: Mapping[str, str]
    ) -> bool:
        if "run" in step:
            environ = {**os.environ, **env, **self.environ}
            environ["GITHUB_STEP_SUMMARY"] = str(self.folder / "summary.md")
            done = subprocess.run(
                [*BASH, step["run"]],
                cwd=self.folder,
                env=environ,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
            )
            self.log += done.stdout
            return done.returncode == 0
        action, _, version = step["uses"].partition("@")
        assert re.fullmatch(r"v\d+", version), step["uses"]
        given = {key: _filled(str(value), known) for key, value in step.get("with", {}).items()}
        return self._act(action, given, step.get("id", ""))

    def _act(self, action: str, given: Mapping[str, str], id_: str) -> bool:
        place = self.folder / given.get("path", "")
        if action == "actions/cache/save":
            shutil.copytree(place, kept := self.caches_folder / given["key"])
            self.caches[given["path"], given["key"]] = kept
        elif action == "actions/cache/restore":
            prefixes = [given["key"], *given.get("restore-keys", "").split()]
            hits = [k for p in prefixes for path, k in reversed(self.caches) if
                    path == given["path"] and k.startswith(p)]  # fmt: skip
            self.outputs[f"steps.{id_}.outputs.cache-matched-key"] = hits[0] if hits else ""
            if hits:
                shutil.copytree(self.caches[given["path"], hits[0]], place)
        elif action == "actions/upload-artifact":
            return place.is_file()
        else:
            assert action in ("actions/checkout", "actions/setup-python"), action
        return True

    @property
    def caches_folder(self) -> Path:
        """Where caches are, outside of the repository."""
        return self.folder.parent / "caches"


def _filled(text: str, known: Mapping[str, str]) -> str:
    return re.sub(r"\$\{\{ *(.+?) *\}\}", lambda match: known.get(match[1], ""), text)


def _holds(condition: str, known: Mapping[str, str]) -> bool:
    """Evaluate ``a == 'b' && c != ''``; what is not known is empty."""

    def one(term: str) -> bool:
        if term in ("always()", "success()"):
            return True
        left, operator, right = re.fullmatch(r"(\S+) (==|!=) '(.*)'", term).groups()
        return (known.get(left, "") == right) is (operator == "==")

    return all(one(term.strip()) for term in condition.split("&&"))
