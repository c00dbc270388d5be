"""A container of docker, podman or apptainer, which sees the folders it is given and no others."""

from __future__ import annotations

import json
import logging
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from uuid import uuid4

from mritk.errors import Unavailable, UsageError
from mritk.external.asked import Refused, asked
from mritk.external.environment import Environment, Launch, Mount
from mritk.external.variables import device_variables
from mritk.files.digests import sha256_of
from mritk.files.user_path import user_path

ENGINES = ("docker", "podman", "apptainer")
PATIENCE_S = 60.0
SHA256 = "sha256:"
FEWEST = 12  # digits that engines show of an id
NAMESPACES = Path("/proc/sys/user/max_net_namespaces")

logger = logging.getLogger("mritk")


@dataclass(frozen=True)
class Container(Environment):
    """An image, and the engine that runs it.

    Without network (but see :func:`_without_network`), and without other folders than those
    mounted.

    Attributes:
        engine: ``docker``, ``podman`` or ``apptainer``.
        image: Name of an image that the engine has, which may end in ``@sha256:`` and its digest;
            or its id, ``sha256:…``; or the path of a ``.sif`` file.
    """

    engine: str
    image: str

    def launch(
        self,
        program: Sequence[str],
        mounts: Sequence[Mount],
        variables: Mapping[str, str],
        device: str = "cpu",
    ) -> Launch:
        """See :meth:`Environment.launch`."""
        make = self._apptainer if self.engine == "apptainer" else self._docker
        return make(program, mounts, variables, device)

    def path(self, host: Path, mounts: Sequence[Mount]) -> str:
        """See :meth:`Environment.path`."""
        for mount in mounts:
            if host == mount.host or mount.host in host.parents:
                below = host.relative_to(mount.host).as_posix()
                return mount.inside if below == "." else f"{mount.inside}/{below}"
        raise ValueError(f"{host} is not mounted")

    def _apptainer(
        self,
        program: Sequence[str],
        mounts: Sequence[Mount],
        variables: Mapping[str, str],
        device: str,
    ) -> Launch:
        gpu = ["--nv"] if device.startswith("cuda") else []
        known = {**device_variables(device), **variables}
        bound = [word for mount in mounts for word in ("--bind", _bound(mount, ","))]
        told = [word for name, value in known.items() for word in ("--env", f"{name}={value}")]
        verb = "exec" if _names_program(program) else "run"
        alone = ["--containall", "--no-home", *_without_network()]
        return Launch((self._engine, verb, *alone, *gpu, *bound, *told, str(self._file), *program))

    def _docker(
        self,
        program: Sequence[str],
        mounts: Sequence[Mount],
        variables: Mapping[str, str],
        device: str,
    ) -> Launch:
        name = f"mritk-{uuid4().hex[:12]}"
        words = ["run", "--rm", "--name", name, "--network", "none"]
        if device.startswith("cuda"):
            words += ["--gpus", f"device={device_variables(device)['CUDA_VISIBLE_DEVICES']}"]
        if self.engine == "docker" and hasattr(os, "getuid"):
            words += ["--user", f"{os.getuid()}:{os.getgid()}"]  # what it writes belongs to us
        for mount in mounts:
            words += ["--volume", _bound(mount)]
        for key, value in variables.items():
            words += ["--env", f"{key}={value}"]
        if _names_program(program):
            words += ["--entrypoint", program[0], self.image, *program[1:]]
        else:
            words += [self.image, *program]
        # The end of the client does not end its container.
        return Launch((self._engine, *words), cleanup=((self._engine, "rm", "--force", name),))

    @property
    def _engine(self) -> str:
        found = shutil.which(self.engine)
        if found is None:
            raise Unavailable(
                f"there is no {self.engine} to run {self.image}; install it, or name another "
                "environment"
            )
        return found

    @property
    def _file(self) -> Path:
        path = user_path(self.image).absolute()
        if not path.exists():
            raise Unavailable(f"there is no image {path}; build it with: apptainer build {path} …")
        return path

    def lock(self) -> dict[str, Any]:
        """See :meth:`Environment.lock`; ``digest`` is that of the image."""
        if self.engine == "apptainer":
            found = {"image": self._file.name, "digest": sha256_of(self._file)}
        else:
            found = {"image": self.image, **self._inspected()}
        return {"kind": self.engine, **found, "engine": self._version()}

    def require(self, lock: Mapping[str, Any]) -> None:
        """See :meth:`Environment.require`."""
        if self.engine == "apptainer":
            return
        now = self._inspected()["digest"]
        if now != lock["digest"]:
            raise Unavailable(
                f"{self.image} is another image of {self.engine} than when the trial began: "
                f"sha256:{now}, not sha256:{lock['digest']}; run the benchmark again, which begins "
                "anew with it, or give the old image its name back"
            )

    def _inspected(self) -> dict[str, Any]:
        """Return the id of the image, and its digests in repositories, as the engine has them."""
        text = self._answer("image", "inspect", self.image)
        try:
            (found, *_) = json.loads(text)
            digest = str(found["Id"]).removeprefix(SHA256)
        except (ValueError, TypeError, KeyError) as error:
            raise Unavailable(f"{self.engine} knows no image {self.image}") from error
        named = list(found.get("RepoDigests") or ())
        _, is_pinned, wanted = self.image.rpartition(SHA256)
        if is_pinned and not is_of(wanted, {"digest": digest, "repository_digests": named}):
            raise Unavailable(
                f"{self.engine} has another image than {self.image}: its id is {SHA256}{digest}; "
                f"fetch the right one with: {self.engine} pull {self.image}"
            )
        return {"digest": digest, "repository_digests": named}

    def _version(self) -> str:
        return self._answer("--version").strip()

    def _answer(self, *words: str) -> str:
        command = [self._engine, *words]
        try:
            return asked(command, PATIENCE_S)
        except Refused as why:
            raise Unavailable(
                f"{self.engine} cannot use image {self.image}: {why}; an image is fetched with: "
                f"{self.engine} pull {self.image}"
            ) from why
        except (OSError, subprocess.TimeoutExpired) as error:
            raise Unavailable(f"{self.engine} does not answer: {error}") from error


def is_of(digest: str, lock: Mapping[str, Any]) -> bool:
    """Whether a digest, or its first 12 or more digits, is of an environment or its image.

    Args:
        digest: Hexadecimal.
        lock: Of the environment. An image has its own id, and others in repositories.
    """
    named = (name.rpartition(SHA256)[2] for name in lock.get("repository_digests", ()))
    known = [str(lock["digest"]), *named]
    return len(digest) >= FEWEST and any(one.startswith(digest) for one in known)


@cache
def _without_network() -> tuple[str, ...]:
    """Return what keeps a program of Apptainer off the network, where the kernel lets it.

    Some clusters allow no network namespaces, and there Apptainer would not start with them.
    """
    with suppress(OSError):
        if NAMESPACES.read_text(encoding="utf-8").strip() == "0":
            logger.warning(
                "this machine allows no network namespaces (%s is 0), so programs that Apptainer "
                "runs can reach the network",
                NAMESPACES,
            )
            return ()
    return ("--net", "--network", "none")


def _bound(mount: Mount, also: str = "") -> str:
    """Return a mount in words; its name must not have a colon, nor what else divides them."""
    names = {":": "colon", ",": "comma"}
    for mark in (":", *also):
        if mark in str(mount.host)[len(mount.host.drive) :]:
            raise UsageError(
                f"{mount.host} has a {names[mark]} in its name, at which container engines divide "
                "a mount; rename the folder, or use another one"
            )
    return f"{mount.host}:{mount.inside}:{'rw' if mount.writable else 'ro'}"


def _names_program(program: Sequence[str]) -> bool:
    """Whether the first word is a program, and not an argument to the image's own one."""
    return bool(program) and not program[0].startswith("-")
