"""Open one dataset as a run does."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from mritk.data.one_name import with_composed_classes, with_one_spelling
from mritk.data.patients import PatientRule, with_patients
from mritk.data.samples import Samples
from mritk.errors import CacheError, DataError, HookError, MritkError
from mritk.files.remedy import refusal_of_disk
from mritk.files.workspace import Workspace
from mritk.machine.usual_state import undisturbed
from mritk.plugins.loaded import check_command, reason_of
from mritk.records import Dataset


def read_samples(record: Dataset, workspace: Workspace) -> Samples:
    """Return the samples of a run that is told nothing of their patients and classes.

    Raises:
        DataError: It has no samples, or a patient stands for a missing value.
        CacheError, HookError, MritkError: See :func:`open_samples`.
    """
    return with_told_patients(open_samples(record, workspace), PatientRule(), record.name)


def open_samples(record: Dataset, workspace: Workspace) -> Samples:
    """Open a dataset; what its plugin raises by mistake becomes one line that names the plugin.

    Raises:
        DataError: It has no samples.
        CacheError: A disk refuses what the plugin writes.
        HookError: The plugin raised something that is not meant for a person.
        MritkError: What the plugin says.
    """
    with _plugin_of(record, workspace):
        samples = record.open(workspace)
    if not len(samples):
        raise DataError(f"dataset {record.name} has no samples")
    return with_composed_classes(samples)


def is_generated(record: Dataset, workspace: Workspace) -> bool:
    """Return whether nothing needs to be generated to open a dataset.

    Raises:
        CacheError, HookError, MritkError: See :func:`open_samples`.
    """
    if record.is_generated is None:
        return True
    with _plugin_of(record, workspace):
        return record.is_generated(workspace)


@contextmanager
def _plugin_of(record: Dataset, workspace: Workspace) -> Iterator[None]:
    """Tell in one line what a plugin raises by mistake."""
    try:
        with undisturbed():
            yield
    except MritkError:
        raise
    except (Exception, SystemExit) as error:
        if refusal := refusal_of_disk(error, f"dataset {record.name}", workspace.home):
            raise CacheError(refusal) from error
        raise HookError(
            f"dataset {record.name} of {record.origin} cannot be opened: "
            f"{reason_of(error, 'hook mritk_datasets')}; report it to the author; for details: "
            f"{check_command(record.name, record.origin, record.open)}"
        ) from error


def with_told_patients(samples: Samples, rule: PatientRule, name: str) -> Samples:
    """Return the samples with the patients that ``rule`` tells, and one spelling for each name."""
    return with_one_spelling(with_patients(samples, rule, name), name)
