"""The environment variables that a program is given: those of the machine, none of mritk's."""

from __future__ import annotations

import os
from collections.abc import Mapping

# What the system, the network and the libraries that compute need. Others, such as PYTHONPATH or
# VIRTUAL_ENV, would bring the packages of this environment into that of the program, and some name
# folders of data.
KNOWN = frozenset(
    [
        "PATH",
        "HOME",
        "USER",
        "LOGNAME",
        "SHELL",
        "TERM",
        "TZ",
        "TMPDIR",
        "TMP",
        "TEMP",
        "SYSTEMROOT",
        "COMSPEC",
        "PATHEXT",
        "APPDATA",
        "LOCALAPPDATA",
        "USERPROFILE",
        "LD_LIBRARY_PATH",
        "DYLD_LIBRARY_PATH",
        "SSL_CERT_FILE",
        "SSL_CERT_DIR",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "NO_PROXY",
        "http_proxy",
        "https_proxy",
        "no_proxy",
        "XDG_CACHE_HOME",
        "XDG_RUNTIME_DIR",
        # Where the clients of container engines find their engine, its images and their settings.
        "XDG_CONFIG_HOME",
        "XDG_DATA_HOME",
        "DOCKER_HOST",
        "DOCKER_CONTEXT",
        "DOCKER_CONFIG",
        "DOCKER_TLS_VERIFY",
        "DOCKER_CERT_PATH",
        "CONTAINER_HOST",
        "CONTAINERS_CONF",
        "CONTAINERS_STORAGE_CONF",
    ]
)
BEGINNINGS = ("LC_", "LANG", "CUDA_", "NVIDIA_", "OMP_", "MKL_", "OPENBLAS_", "PIP_", "UV_")


def own_variables() -> dict[str, str]:
    """Return the variables that any program is given."""
    return {
        name: value
        for name, value in os.environ.items()
        if name in KNOWN or name.startswith(BEGINNINGS)
    }


def device_variables(device: str, environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the variables by which a program sees one device alone.

    Args:
        device: ``cpu``, ``cuda`` or ``cuda:N``, where N counts the GPUs that mritk sees.
        environ: Tells which GPUs those are.
    """
    kind, _, number = device.partition(":")
    if kind != "cuda":
        return {"CUDA_VISIBLE_DEVICES": ""}
    seen = [one.strip() for one in environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if one]
    index = int(number or 0)
    return {"CUDA_VISIBLE_DEVICES": seen[index] if index < len(seen) else str(index)}
