"""Tell each call of a hook on stderr, for authors of plugins (``MRITK_TRACE_PLUGINS=1``)."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from mritk.errors import one_line
from mritk.files.workspace import TRUE_WORDS
from mritk.records import Origin

SHORT = 60


@dataclass(frozen=True)
class Trace:
    """Prints one line for each call, or nothing."""

    enabled: bool = False

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Trace:
        """Return the trace that ``MRITK_TRACE_PLUGINS`` asks for."""
        return cls(environ.get("MRITK_TRACE_PLUGINS", "").lower() in TRUE_WORDS)

    @contextmanager
    def call(self, hook: str, origin: Origin, arguments: Mapping[str, Any]) -> Iterator[list[Any]]:
        """Time the call in the body, which puts the result into the list, and tell of it."""
        result: list[Any] = []
        began = time.perf_counter()
        end = "returned nothing"
        try:
            yield result
            end = f"returned {_short(result[0])}" if result else end
        except BaseException as error:
            end = f"raised {_short(f'{type(error).__name__}: {error}')}"
            raise
        finally:
            if self.enabled:
                given = ", ".join(f"{name}={_short(value)}" for name, value in arguments.items())
                took = 1e3 * (time.perf_counter() - began)
                line = f"trace: {origin}: {hook}({given}) {end} in {took:.1f} ms"
                print(line, file=sys.stderr)


def _short(value: Any) -> str:
    if isinstance(value, tuple):
        return f"{len(value)} record{'' if len(value) == 1 else 's'}"
    text = one_line(str(value))
    if text.startswith("<") or (len(text) > SHORT and not isinstance(value, str)):
        text = type(value).__name__
    return text if len(text) <= SHORT else f"{text[: SHORT - 1]}…"
