"""What a stored protocol answers: each question about a trial's recipe has one answer, here.

Keys may be absent (an older mritk wrote the file) or unknown (a newer one did).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from mritk.protocol.protocol import differences, flat


@dataclass(frozen=True)
class StoredProtocol:
    """A protocol as a trial file keeps it.

    Attributes:
        data: As ``Protocol.canonical_json`` has it, read.
    """

    data: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def from_json(cls, text: str) -> StoredProtocol:
        """Return the protocol of a canonical JSON."""
        return cls(json.loads(text))

    # -- its tables ----------------------------------------------------------------------------

    @property
    def split(self) -> Mapping[str, Any]:
        """How samples are divided."""
        return self._table("split")

    @property
    def selection(self) -> Mapping[str, Any]:
        """Which state of a training is kept."""
        return self._table("selection")

    @property
    def parameters(self) -> Mapping[str, Any]:
        """The parameters of the method."""
        return self._table("parameters")

    def _table(self, name: str) -> Mapping[str, Any]:
        table = self.data.get(name)
        return table if isinstance(table, Mapping) else {}

    # -- its answers ---------------------------------------------------------------------------

    @property
    def validates_on_test(self) -> bool:
        """Whether the validation part is the test part."""
        return self.split.get("validation") == "test"

    @property
    def rehearsal(self) -> bool:
        """Whether it is the small form of another, whose scores mean nothing."""
        return bool(self.data.get("rehearsal"))

    @property
    def selected_on_test(self) -> bool:
        """Whether the test part chose the state that was kept, the schedule or when to stop."""
        return self.validates_on_test or self.selection.get("on") == "test"

    @property
    def trained_on_test_images(self) -> bool:
        """Whether the method was given the images of the test part, without their targets."""
        return self.split.get("unlabelled") == "all"

    @property
    def selects(self) -> bool:
        """Whether a state was chosen by its score; else the last one was kept."""
        return self.selection.get("on") in ("val", "test")

    @property
    def repeats(self) -> int:
        """How often everything that is drawn was drawn."""
        return max(1, int(self.split.get("repeats", 1)))

    @property
    def shots(self) -> int:
        """Training samples per class; 0: all."""
        return int(self.split.get("shots", 0))

    @property
    def train_patients(self) -> int:
        """Patients in the training set; 0: all."""
        return int(self.split.get("train_patients", 0))

    @property
    def test_time(self) -> str:
        """What is averaged over when a model is tested."""
        return str(self.parameters.get("test_time", "none"))

    # -- as text -------------------------------------------------------------------------------

    @cached_property
    def flat(self) -> dict[str, Any]:
        """Its values by dotted key: ``parameters.stages[0].epochs``."""
        return dict(flat(self.data))

    def differences(self, other: StoredProtocol) -> list[str]:
        """Return ``key: value | other value`` for each field in which the two differ."""
        return list(differences(self.data, other.data))
