"""The trials of two results folders, each of one with the same of the other."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field
from typing import Any

from mritk.errors import StoreError
from mritk.results.doubts import doubts_of
from mritk.results.table import row_name
from mritk.results.table_trial import TableTrial
from mritk.results.whole_runs import folds_of, whole_runs
from mritk.store.trial_file import TrialRecord
from mritk.tasks.task import Task

# What data and recipe are, whatever their files are called.
CONTENTS = ("dataset_fingerprint", "fingerprint")
NAMES = ("dataset", "protocol")
ROW = ("backbone", "augmentation")
# Trials that agree in these are one and the same, before and after a change of the code.
ROW_BY = (*CONTENTS, *ROW)
PAIRED_BY = (*ROW_BY, "fold", "seed")
# Where none is the same, one that agrees in these tells why.
NAMED_ALIKE = (*NAMES, *ROW, "fold", "seed")

Key = tuple[Any, ...]


@dataclass
class PairedTrials:
    """Two results folders, the base and the head.

    Attributes:
        rows: By table and row: the trials of the base, and those of the head that are the same.
        missing: Trials of the base without a finished trial in the head, and seeds that lack folds
            in both; these are in no row, as they are in no row of a leaderboard.
        incomparable: Rows whose trials were made under other conditions, with the fields.
        ambiguous: Rows with several trials of one fold and seed on a side, such as those before and
            after a plugin was edited, or made anew in a part: what would be compared with what is
            unknown.
        passed_over: Rows of the head that has trials of the base, too; the others are compared.
        added: Rows that only the head has, be it under another name or with other contents.
        damaged: Files that could not be read.
        tasks: Those of the datasets of the base, as far as they have scores.
        unscored: Rows of the base that learned from unlabelled data, so have nothing to compare.
    """

    rows: dict[Key, dict[str, list[list[TrialRecord]]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(lambda: [[], []]))
    )
    missing: list[str] = field(default_factory=list)
    incomparable: list[str] = field(default_factory=list)
    ambiguous: list[str] = field(default_factory=list)
    passed_over: list[str] = field(default_factory=list)
    added: list[str] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)
    tasks: list[Task] = field(default_factory=list)
    unscored: list[str] = field(default_factory=list)

    @classmethod
    def of(
        cls, base: Iterable[TrialRecord | StoreError], head: Iterable[TrialRecord | StoreError]
    ) -> PairedTrials:
        """Pair trials by the contents of dataset and protocol, backbone, augmentation, fold, seed.

        Args:
            base: Trials before; errors stand for damaged files.
            head: Trials after.
        """
        pairs = cls()
        every, also = (_by_identity(trials, pairs.damaged) for trials in (base, head))
        olds = [old for same in every.values() for old in same]
        scored = {old.dataset_fingerprint: old.task for old in olds if old.task.has_scores}
        pairs.tasks = list(scored.values())
        judged = {_key(old, *ROW_BY) for old in olds if old.task.has_scores}
        before = pairs._one_of_each("base", every, judged, set())
        after = pairs._one_of_each("head", also, judged, {old.id for old in olds})
        pairs._leave_out_mixed(before, after)
        told = {key[: len(ROW_BY)] for key in (every.keys() - before) | (also.keys() - after)}
        by_name = {_key(record, *NAMED_ALIKE): record for record in after.values()}
        in_order = sorted(before.items(), key=lambda old: (*_key(old[1], *NAMES), str(old[0])))
        for key, old in in_order:
            if old.scored and key[: len(ROW_BY)] not in told:
                pairs._add(old, after.get(key) or by_name.get(_key(old, *NAMED_ALIKE)))
        pairs._keep_whole_runs()
        pairs.unscored = sorted({row_on_data(old) for old in olds if not old.task.has_scores})
        known = {_key(old, *by, *ROW) for old in olds for by in (CONTENTS, NAMES)}
        added = (
            row_on_data(new)
            for new in after.values()
            if not known & {_key(new, *by, *ROW) for by in (CONTENTS, NAMES)}
        )
        pairs.added = sorted(set(added))
        return pairs

    def _one_of_each(
        self,
        side: str,
        found: Mapping[Key, list[TrialRecord]],
        judged: Set[Key],
        known: Set[str],
    ) -> dict[Key, TrialRecord]:
        """Return one trial of each fold and seed, except of judged rows where it is unknown which.

        A row of which all were made anew is those new ones: ``known`` are the ids of the base.
        """
        rows: dict[Key, dict[Key, list[TrialRecord]]] = defaultdict(dict)
        for key, same in found.items():
            rows[key[: len(ROW_BY)]][key] = same
        chosen: dict[Key, TrialRecord] = {}
        for row, trials in rows.items():
            several = next((same for same in trials.values() if len(same) > 1), None)
            if several is None or row not in judged:
                chosen |= {key: same[0] for key, same in trials.items()}
                continue
            some, ids = several[0], ", ".join(sorted(trial.id for trial in several))
            where = f"{row_on_data(some)}: the {side} has several trials of fold {some.fold}, "
            where += f"seed {some.seed} ({ids})"
            new = {key: [t for t in same if t.id not in known] for key, same in trials.items()}
            if all(len(same) == 1 for same in new.values()):
                self.passed_over.append(f"{where}; those that the base has, too, were passed over.")
                chosen |= {key: same[0] for key, same in new.items()}
            else:
                self.ambiguous.append(f"{where}; move outdated trial files to another folder")
        return chosen

    def _leave_out_mixed(
        self, before: Mapping[Key, TrialRecord], after: dict[Key, TrialRecord]
    ) -> None:
        """Take rows from the head that are copied from the base in one part, and new in another.

        A copy is a difference of 0, which would hide a change of the rest.
        """
        copies: dict[Key, TrialRecord] = {}
        others: dict[Key, TrialRecord] = {}
        for key, new in after.items():
            old = before.get(key)
            if old is None or not (old.scored and new.finished):
                continue
            copied = (old.id, _started(old)) == (new.id, _started(new))
            (copies if copied else others).setdefault(key[: len(ROW_BY)], new)
        mixed = others.keys() & copies.keys()
        for row in sorted(mixed, key=str):
            same, new = copies[row], others[row]
            self.ambiguous.append(
                f"{row_on_data(new)}: the head has fold {same.fold}, seed {same.seed} of the base "
                f"({same.id}), but fold {new.fold}, seed {new.seed} made anew ({new.id}); move "
                "outdated trial files to another folder, and train what is missing then"
            )
        for key in [key for key in after if key[: len(ROW_BY)] in mixed]:
            del after[key]

    def _add(self, old: TrialRecord, new: TrialRecord | None) -> None:
        row = row_on_data(old)
        if new is None or not new.finished:
            why = "failed" if new is not None else "is missing"
            self.missing.append(f"{row}, fold {old.fold}, seed {old.seed} {why} in the head")
        elif fields := _differing(old, new):
            text = f"{row}: {'; '.join(fields)}"
            if text not in self.incomparable:
                self.incomparable.append(text)
        else:
            sides = self.rows[_key(old, *CONTENTS)][row_name(old.backbone, old.augmentation)]
            sides[0].append(old)
            sides[1].append(new)

    def _keep_whole_runs(self) -> None:
        for table in self.rows.values():
            trials = {
                name: [TableTrial.of(old) for old in olds] for name, (olds, _) in table.items()
            }
            folds = folds_of(trial for row in trials.values() for trial in row)
            for name, row in trials.items():
                found = whole_runs(row, folds)
                kept = {(trial.facts.seed, trial.facts.fold) for trial in found.trials}
                where = row_on_data(table[name][0][0])
                self.missing += [f"{where}: {line}" for line in found.left_out]
                table[name] = [
                    [trial for trial in side if (trial.seed, trial.fold) in kept]
                    for side in table[name]
                ]

    @property
    def lacking(self) -> tuple[list[str], ...]:
        """What could not be compared."""
        return self.missing, self.incomparable, self.ambiguous, self.damaged

    @property
    def doubtful(self) -> list[str]:
        """What a reader must know of the trials that were compared, one line per row and doubt."""
        sides = (side for table in self.rows.values() for row in table.values() for side in row)
        told = (
            f"{row_on_data(t)}: {doubt}" for side in sides for t in side for doubt in doubts_of(t)
        )
        return sorted({*told, *self.passed_over})


def _by_identity(
    trials: Iterable[TrialRecord | StoreError], damaged: list[str]
) -> dict[Key, list[TrialRecord]]:
    """Return the trials by what pairs them, of failed ones those that nothing came after."""
    found: dict[Key, list[TrialRecord]] = defaultdict(list)
    for trial in trials:
        if isinstance(trial, StoreError):
            damaged.append(str(trial))
        else:
            found[_key(trial, *PAIRED_BY)].append(trial)
    for key, same in found.items():
        last = max((_started(trial) for trial in same if trial.finished), default=None)
        later = [t for t in same if t.finished or (last is not None and _started(t) > last)]
        found[key] = later or same[:1]
    return found


def _started(record: TrialRecord) -> str:
    return record.provenance.get("started", "")


def _key(record: TrialRecord, *names: str) -> Key:
    return tuple(getattr(record, name) for name in names)


def row_on_data(record: TrialRecord) -> str:
    """Return the name of a trial's row with those of its dataset and protocol."""
    name = row_name(record.backbone, record.augmentation)
    return f"{name} on {record.dataset}, {record.protocol}"


def _differing(old: TrialRecord, new: TrialRecord) -> list[str]:
    """Return in what two trials of one name were made under other conditions."""
    told = []
    if old.dataset_fingerprint != new.dataset_fingerprint:
        told.append(
            f"the data differ ({old.dataset_fingerprint[:8]} | {new.dataset_fingerprint[:8]})"
        )
    if old.fingerprint != new.fingerprint:
        changed = old.stored_protocol.differences(new.stored_protocol)
        told.append(f"the protocol differs in {', '.join(changed)}")
    if not told and set(old.predictions["test"].id) != set(new.predictions["test"].id):
        told.append("the test sets differ")
    return told
