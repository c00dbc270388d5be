"""What a reader found and did not take as data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

NAMED = 3  # examples in a line


@dataclass(frozen=True)
class PassedOver:
    """Ignored files or folders next to the samples of a dataset.

    Attributes:
        reason: The reason, following a count: ``without a class``.
        names: One for each: paths relative to the dataset, with ``/`` at the end of a
            folder that was not entered; patterns such as ``*.txt`` if names are confidential.
    """

    reason: str
    names: Sequence[str]

    def __post_init__(self) -> None:
        """Make names text that can be printed and stored, whatever bytes they have on the disk."""
        names = (name.encode("utf-8", "backslashreplace").decode() for name in self.names)
        object.__setattr__(self, "names", tuple(names))

    def __str__(self) -> str:
        shown = list(dict.fromkeys(self.names))
        more = ", …" if len(shown) > NAMED else ""
        return f"{len(self.names)} {self.reason} ({', '.join(shown[:NAMED])}{more})"
