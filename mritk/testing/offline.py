"""Catch whoever opens a connection, to prove that ``--offline`` is heeded."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn
from unittest.mock import patch

LOCAL = (socket.AF_UNIX,) if hasattr(socket, "AF_UNIX") else ()


class NetworkUsed(OSError):
    """Somebody tried to reach another machine."""


@contextmanager
def no_network() -> Iterator[list[str]]:
    """Refuse every connection and every look-up of a host name in this process.

    Yields:
        A list that fills with what was tried, in order, also where the caller swallowed the error.
    """
    tried: list[str] = []

    def refuse(target: Any) -> NoReturn:
        tried.append(str(target))
        raise NetworkUsed(f"network access is not allowed here: {target}")

    class Guarded(socket.socket):
        def connect(self, address: Any) -> None:
            if self.family not in LOCAL:
                refuse(address)
            super().connect(address)

        def connect_ex(self, address: Any) -> int:
            if self.family not in LOCAL:
                refuse(address)
            return super().connect_ex(address)

    def look_up(host: Any, *arguments: Any, **options: Any) -> NoReturn:
        refuse(host)

    with patch("socket.socket", Guarded), patch("socket.getaddrinfo", look_up):
        yield tried
