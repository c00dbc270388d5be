"""Checks of plugins: small functions that find one kind of defect each, and what they found.

A check takes the subject and returns nothing. It raises :class:`Defect` where the subject breaks
its promise, :class:`NotApplicable` where the question does not arise. Its name, read as words, is
the promise.
"""

from __future__ import annotations

import pickle
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from types import FunctionType
from typing import Any, Generic, Literal, Protocol, TypeVar

from mritk.data.rank import has_grid
from mritk.errors import Unavailable, one_line

State = Literal["passed", "failed", "skipped", "n/a"]
Check = Callable[[Any], None]
R = TypeVar("R", bound="Named")


class Defect(Exception):
    """A promise that is not kept; the text says what happened and what to do."""


class NotApplicable(Exception):
    """The promise was not given; the text says why."""


class Nonconforming(AssertionError):
    """A record of a plugin has defects; the text lists them, one per line."""


@dataclass(frozen=True)
class Verdict:
    """What one check found.

    Attributes:
        subject: What was checked, such as ``backbone small_cnn@scratch``.
        check: The promise, such as ``takes a batch of one``.
        state: ``skipped`` where it needs what is not on this machine; ``n/a`` where the promise was
            not given.
        reason: Why it did not pass.
    """

    subject: str
    check: str
    state: State
    reason: str = ""


class Named(Protocol):
    """A record, or a backbone, which is made of two."""

    @property
    def name(self) -> str: ...


class UnderTest(Generic[R]):
    """A record as its checks see it."""

    def __init__(self, record: R) -> None:
        self.record = record

    def inspect(self, checks: Sequence[Check]) -> Iterator[Verdict]:
        """Make these checks of it; the class is named after what the record is."""
        noun = type(self).__name__.removesuffix("UnderTest").lower()
        return inspect(f"{noun} {self.record.name}", checks, self)

    def require(self, checks: Sequence[Check]) -> None:
        """Make these checks of it, then raise :class:`Nonconforming` if any failed."""
        require_conformity(self.inspect(checks))


def promises(module: str) -> tuple[Check, ...]:
    """Return the checks that a module defines, in their order: its functions of ``it`` alone."""
    functions = (f for f in vars(sys.modules[module]).values() if isinstance(f, FunctionType))
    own = (function for function in functions if function.__module__ == module)
    return tuple(function for function in own if [*function.__annotations__] == ["it", "return"])


def inspect(subject: str, checks: Sequence[Check], under_test: Any) -> Iterator[Verdict]:
    """Yield the verdict of each check; an exception that no check expects is a defect too.

    What several checks run into is told once; the promises of the others were not tested.
    """
    told: dict[str, str] = {}
    for check in checks:
        found = _judge(subject, check, under_test)
        if found.state == "failed" and told.setdefault(found.reason, found.check) != found.check:
            reason = f"not tested, for the reason told of {told[found.reason]!r}"
            found = Verdict(subject, found.check, "n/a", reason)
        yield found


def _judge(subject: str, check: Check, under_test: Any) -> Verdict:
    promise = check.__name__.replace("_", " ")
    try:
        check(under_test)
    except NotApplicable as reason:
        return Verdict(subject, promise, "n/a", one_line(reason))
    except Unavailable as absent:
        return Verdict(subject, promise, "skipped", one_line(absent))
    except Defect as defect:
        return Verdict(subject, promise, "failed", one_line(defect))
    except (Exception, SystemExit) as error:
        return Verdict(subject, promise, "failed", f"{type(error).__name__}: {one_line(error)}")
    return Verdict(subject, promise, "passed")


def require_conformity(verdicts: Iterable[Verdict]) -> None:
    """Make all checks, then raise :class:`Nonconforming` if any failed."""
    verdicts = list(verdicts)
    failed = [verdict for verdict in verdicts if verdict.state == "failed"]
    if failed:
        lines = [f"{v.subject}: {v.check}: {v.reason}" for v in failed]
        raise Nonconforming(f"{len(failed)} of {len(verdicts)} checks failed\n" + "\n".join(lines))


def equal(first: Any, second: Any) -> bool:
    """Tell whether two arrays, or two tensors, are equal.

    NaN equals NaN: that there is any is a defect of its own, and no reason to suspect others.
    """
    if first.shape != second.shape:
        return False
    nan = (first != first) & (second != second)  # noqa: PLR0124 - of both libraries, any dtype
    return bool(((first == second) | nan).all())


def ranks_of(record: Any) -> tuple[int, ...]:
    """Return the declared numbers of spatial dimensions that mritk has data of."""
    ranks = tuple(dims for dims in record.spatial_dims if has_grid(dims))
    if not ranks:
        raise Defect(f"spatial_dims is {record.spatial_dims}; expected (2,), (3,) or (2, 3)")
    return ranks


def is_sent_to_workers(it: UnderTest[Any]) -> None:
    """The record can be pickled."""
    require_pickle(it.record)


def require_pickle(record: object) -> None:
    """Find a record that cannot be sent to a worker process."""
    try:
        pickle.loads(pickle.dumps(record))
    except Exception as error:
        raise Defect(
            f"it cannot be pickled ({one_line(error)}); use module-level functions, and "
            "functools.partial instead of lambdas or inner functions"
        ) from error
