"""All errors that a user can act on.

Each message is one line that states what happened, why it matters and what to type next. The
command line prints it and exits with the error's ``exit_code``; any other exception is a bug of
mritk or of a plugin and keeps its traceback.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import IntEnum
from importlib import import_module
from types import ModuleType
from typing import ClassVar


class ExitCode(IntEnum):
    """Exit codes of the process; public, because continuous integration acts on them.

    Attributes:
        OK: The request was completed.
        GATE_FAILED: A check failed: leakage or a defect (``audit``), a regression
            (``compare``), a damaged or changed result (``doctor``, ``verify``, ``merge``,
            ``rerun``).
        USAGE: The request is invalid: an option, a name, a file, or unsuitable data; or the folder
            of ``MRITK_HOME`` cannot be written.
        INTERNAL: A trial failed, or a bug of mritk or a plugin, with its traceback.
        UNAVAILABLE: Something requested is missing: weights, data, a plugin, a package, memory, a
            trial to compare with.
        NOTHING_TO_DO: There are no trials to show, or nothing to clear.
        INTERRUPTED: Interrupted by the user; finished trials are stored.
    """

    OK = 0
    GATE_FAILED = 1
    USAGE = 2
    INTERNAL = 3
    UNAVAILABLE = 4
    NOTHING_TO_DO = 5
    INTERRUPTED = 130


class MritkError(Exception):
    """An error that a user can act on."""

    exit_code: ClassVar[ExitCode] = ExitCode.INTERNAL


class UsageError(MritkError):
    """The request is invalid."""

    exit_code = ExitCode.USAGE


class UnknownName(UsageError):
    """No loaded plugin provides the requested name."""


class DuplicateName(UsageError):
    """Two plugins provide the same name."""


class ProtocolError(UsageError):
    """A protocol or benchmark file has an unknown key or a value of the wrong type."""


class DataError(UsageError):
    """The data cannot be used as requested."""


class HookError(MritkError):
    """A hook of a plugin raises, or yields something other than its records."""


class AugmentationFault(HookError):
    """An augmentation returns something other than finite pixels of the kind of its batch."""


class Unavailable(MritkError):
    """Something requested is not on this machine and cannot be downloaded now."""

    exit_code = ExitCode.UNAVAILABLE


class NotSupplied(Unavailable):
    """A file that requires a manual download is missing, or replaced by something else."""


class WeightsMismatch(MritkError):
    """A weight file does not cover the network exactly, or holds values that are no numbers."""


class NonFiniteLoss(MritkError):
    """The loss or the gradient became NaN or infinite, or the loss exploded."""


class OutOfMemory(MritkError):
    """The device runs out of memory under the protocol."""

    exit_code = ExitCode.UNAVAILABLE


class StoreError(MritkError):
    """Results cannot be written or read."""


class CacheError(UsageError, StoreError):
    """A folder where mritk keeps data for itself cannot be written; another one must be named."""


class Stopped(KeyboardInterrupt):
    """A trial had to end, and has been checkpointed; it is no failure, and no error of anybody."""


class PluginDeprecationWarning(FutureWarning):
    """A plugin uses a deprecated feature.

    A ``FutureWarning``, so that Python shows it to the user, once per location.

    Attributes:
        removed_in: The release that removes it.
    """

    def __init__(self, what: str, *, instead: str, removed_in: str) -> None:
        self.removed_in = removed_in
        super().__init__(f"{what} will be removed in mritk {removed_in}; {instead}")


def one_line(said: BaseException | str) -> str:
    """Return a text, or what an error says, as one line; an error without words by its type."""
    words = " ".join(str(said).split())
    return words if words or isinstance(said, str) else type(said).__name__


def causes(error: BaseException, *, stated: bool = False) -> Iterator[BaseException]:
    """Yield an error and those behind it, each once: ``raise error from error`` is a circle.

    ``from None`` hides the ones before from people, not from whoever asks here. With ``stated``,
    only those count that ``from`` names: others may have been dealt with.
    """
    seen: set[int] = set()
    found: BaseException | None = error
    while found is not None and id(found) not in seen:
        seen.add(id(found))
        yield found
        found = found.__cause__ or (None if stated else found.__context__)


def import_extra(name: str, what: str, extra: str) -> ModuleType:
    """Import a package that an extra of mritk installs.

    Args:
        name: The module.
        what: What needs which package, as a clause: ``Parquet needs pyarrow``.
        extra: The extra.

    Raises:
        Unavailable: It is not installed.
    """
    try:
        return import_module(name)
    except ImportError as error:
        raise Unavailable(
            f"{what}; install it with: python -m pip install 'mritk-bench[{extra}]'"
        ) from error
