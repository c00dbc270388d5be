"""What a person says about datasets: for all of a run, or behind the name of one."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

from mritk.data.patients import PatientRule
from mritk.errors import UsageError
from mritk.files.workspace import TRUE_WORDS
from mritk.plugins.options import TELLING, split_options
from mritk.reading.spelling import composed


@dataclass(frozen=True)
class DataOptions:
    """What a person says about the datasets of a run.

    Attributes:
        patient_regex: The patient is what this finds in a sample's id.
        patients: Path of a table with the columns ``id`` and ``patient``.
        no_patient_ids: The data name no patients, and that is accepted.
        rename: Old class names to new ones.
        instructions: By the name of a dataset, how a person gets it; told where it is not there.
    """

    patient_regex: str = ""
    patients: str = ""
    no_patient_ids: bool = False
    rename: Mapping[str, str] = field(default_factory=dict)
    instructions: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse now what would be refused after the data are read.

        Raises:
            UsageError: Ways of telling patients exclude each other, or one of them is wrong.
        """
        _ = self.rule

    @property
    def rule(self) -> PatientRule:
        """How patients are told where a dataset does not name them."""
        return PatientRule(self.patient_regex, self.patients, self.no_patient_ids)

    def without_patients(self) -> DataOptions:
        """Return what is said of classes alone."""
        return replace(self, patient_regex="", patients="", no_patient_ids=False)


@dataclass(frozen=True)
class NamedDataset:
    """The name of one dataset, and what was said of it behind the name.

    Attributes:
        asked: The name as it was typed.
        name: The name without what was said.
        told: What was said; it takes the place of what is said of all datasets.
    """

    asked: str
    name: str
    told: DataOptions

    @classmethod
    def of(cls, asked: str, own: Collection[str] = ()) -> NamedDataset:
        """Take ``folder:PATH,slices=5,patient_regex=REGEX`` apart.

        Args:
            asked: The name as it was typed.
            own: Options of the dataset's family, which say nothing of patients or classes.

        Raises:
            UsageError: What was said of patients or classes is wrong.
        """
        member, given = split_options(asked)
        said = {name: given.pop(name) for name in TELLING if name in given and name not in own}
        name = "".join([member, *(f",{option}={value}" for option, value in given.items())])
        return cls(asked, name, _read(said, name))

    @property
    def tells_patients(self) -> bool:
        """Whether patients are told behind the name."""
        return self.told.rule != PatientRule()


def _read(given: Mapping[str, str], name: str) -> DataOptions:
    admitted = given.get("no_patient_ids", "")
    if admitted and admitted.lower() not in TRUE_WORDS:
        raise UsageError(f"{name}: option no_patient_ids={admitted}: write no_patient_ids=true")
    rename: dict[str, str] = {}
    for pair in filter(None, given.get("rename", "").split("/")):
        old, equals, new = pair.partition("=")
        if not (old and equals and new):
            raise UsageError(f"{name}: option rename={pair}: write rename=OLD=NEW/OLD=NEW")
        if rename.setdefault(composed(old), composed(new)) != composed(new):
            raise UsageError(f"{name}: option rename renames {old} twice; remove one")
    try:
        return DataOptions(
            given.get("patient_regex", ""), given.get("patients", ""), bool(admitted), rename
        )
    except UsageError as error:
        raise UsageError(f"{name}: {error}") from error
