"""Everything a person can be told went wrong, as one small hierarchy.

Each error is one line that says what happened, why it matters and what to type next. The command
line prints that line and exits with the error's ``exit_code``; any other exception is a defect of
mritk or of a plugin and keeps its traceback.

    MritkError                  3   something failed
      UsageError                2   the request itself is wrong
        UnknownName             2   nobody provides this name
        DuplicateName           2   two plugins provide this name
        ProtocolError           2   a protocol or benchmark file has a wrong key or value
        DataError               2   the data cannot be used as asked
      Unavailable               4   something requested is not here (weights, plugin, dataset)
      HookError                 3   a hook of a plugin fails
      OutOfMemory               4   the device has not enough memory for the protocol
      WeightsMismatch           3   a weight file does not fit the network
      NonFiniteLoss             3   training diverged
      StoreError                3   results cannot be written or read
"""

from __future__ import annotations

from enum import IntEnum
from typing import ClassVar


class ExitCode(IntEnum):
    """What the process returns; public, because continuous integration acts on it.

    Attributes:
        OK: All that was asked for is done.
        GATE_FAILED: What was looked at does not hold: a leak or a defect (``audit``), a regression
            (``compare``), a damaged or changed result (``doctor``, ``verify``, ``merge``,
            ``rerun``).
        USAGE: The request itself is wrong: an option, a name, a file, data that do not allow it.
        INTERNAL: A trial failed, or a defect of mritk or a plugin, with its traceback.
        UNAVAILABLE: Something requested is not here: weights, data, a plugin, a package, memory; a
            trial to compare with.
        NOTHING_TO_DO: There are no trials to show, or there is nothing to clear.
        INTERRUPTED: A person stopped it; what is finished is kept.
    """

    OK = 0
    GATE_FAILED = 1
    USAGE = 2
    INTERNAL = 3
    UNAVAILABLE = 4
    NOTHING_TO_DO = 5
    INTERRUPTED = 130


class MritkError(Exception):
    """Something failed in a way that a person can act on."""

    exit_code: ClassVar[ExitCode] = ExitCode.INTERNAL


class UsageError(MritkError):
    """The request itself is wrong."""

    exit_code = ExitCode.USAGE


class UnknownName(UsageError):
    """No loaded plugin provides the requested name."""


class DuplicateName(UsageError):
    """Two plugins provide the same name."""


class ProtocolError(UsageError):
    """A protocol or benchmark file has an unknown key or a value of the wrong type."""


class DataError(UsageError):
    """The data cannot be used as asked."""


class HookError(MritkError):
    """A hook of a plugin raises, or yields something that is not one of its records."""


class Unavailable(MritkError):
    """Something requested is not on this machine and cannot be fetched now."""

    exit_code = ExitCode.UNAVAILABLE


class NotSupplied(Unavailable):
    """A file that a person has to bring is not here, or something else stands for it."""


class WeightsMismatch(MritkError):
    """A weight file does not cover the network exactly."""


class NonFiniteLoss(MritkError):
    """The loss or the gradient became NaN or infinite, or the loss exploded."""


class OutOfMemory(MritkError):
    """The device has not enough memory for the protocol."""

    exit_code = ExitCode.UNAVAILABLE


class StoreError(MritkError):
    """Results cannot be written or read."""


class PluginDeprecationWarning(FutureWarning):
    """A plugin uses something that a later release will not have.

    A ``FutureWarning``, so that Python shows it to whoever runs the plugin, once per place.

    Attributes:
        removed_in: The release that will not have it.
    """

    def __init__(self, what: str, *, instead: str, removed_in: str) -> None:
        self.removed_in = removed_in
        super().__init__(f"{what} will be removed in mritk {removed_in}; {instead}")


def one_line(said: BaseException | str) -> str:
    """Return a text, or what an error says, as one line; an error without words by its type."""
    words = " ".join(str(said).split())
    return words if words or isinstance(said, str) else type(said).__name__
