"""mritk: a plugin-based benchmarking toolkit for brain-MRI deep learning.

The names below are the public interface for plugins; they load on first use, so that importing
mritk costs nothing and never imports torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mritk.data.derived import Derived as Derived
    from mritk.data.derived import kept as kept
    from mritk.data.samples import Classification as Classification
    from mritk.data.samples import Regression as Regression
    from mritk.data.samples import Samples as Samples
    from mritk.data.subset import Subset as Subset
    from mritk.errors import DataError as DataError
    from mritk.errors import MritkError as MritkError
    from mritk.errors import PluginDeprecationWarning as PluginDeprecationWarning
    from mritk.errors import Unavailable as Unavailable
    from mritk.errors import UsageError as UsageError
    from mritk.evaluate.metric import Metric as Metric
    from mritk.evaluate.metric import Undefined as Undefined
    from mritk.files.archives import unpacked as unpacked
    from mritk.files.atomic import open_whole as open_whole
    from mritk.files.atomic import whole_folder as whole_folder
    from mritk.files.digests import sha256_of as sha256_of
    from mritk.files.download import fetch_file as fetch_file
    from mritk.files.manual import supplied_file as supplied_file
    from mritk.files.packaged import packaged_text as packaged_text
    from mritk.files.regular_file import open_regular_file as open_regular_file
    from mritk.files.waiting import locked as locked
    from mritk.files.workspace import Workspace as Workspace
    from mritk.lazy_function import lazy as lazy
    from mritk.machine.cores import available_cores as available_cores
    from mritk.machine.host_memory import require_memory as require_memory
    from mritk.method import Epoch as Epoch
    from mritk.method import Fitted as Fitted
    from mritk.method import Method as Method
    from mritk.method import Setup as Setup
    from mritk.plugins.background import Background as Background
    from mritk.plugins.hookspecs import hookimpl as hookimpl
    from mritk.reading.class_tree import ClassFile as ClassFile
    from mritk.reading.class_tree import ClassTree as ClassTree
    from mritk.reading.class_tree import class_tree as class_tree
    from mritk.reading.class_tree import named_classes as named_classes
    from mritk.reading.file_tree import list_folder as list_folder
    from mritk.reading.file_tree import list_tree as list_tree
    from mritk.reading.grey_levels import grey_levels as grey_levels
    from mritk.reading.image_file import read_image as read_image
    from mritk.reading.parts import part_of as part_of
    from mritk.reading.passed_over import PassedOver as PassedOver
    from mritk.reading.scan_tree import Scans as Scans
    from mritk.reading.spelling import canonical_name as canonical_name
    from mritk.reading.spelling import is_missing as is_missing
    from mritk.reading.spelling import one_spelling as one_spelling
    from mritk.reading.suffixes import is_image_name as is_image_name
    from mritk.reading.text_table import TableRow as TableRow
    from mritk.reading.text_table import TextTable as TextTable
    from mritk.reading.text_table import read_text_table as read_text_table
    from mritk.records import Alias as Alias
    from mritk.records import Architecture as Architecture
    from mritk.records import Augmentation as Augmentation
    from mritk.records import BackboneFamily as BackboneFamily
    from mritk.records import BenchmarkFile as BenchmarkFile
    from mritk.records import Dataset as Dataset
    from mritk.records import DatasetFamily as DatasetFamily
    from mritk.records import Executor as Executor
    from mritk.records import Explainer as Explainer
    from mritk.records import InputContract as InputContract
    from mritk.records import LostJob as LostJob
    from mritk.records import ProtocolFile as ProtocolFile
    from mritk.records import Weights as Weights
    from mritk.results.frames import StoredResults as StoredResults
    from mritk.results.frames import read_results as read_results
    from mritk.splits.sklearn_splitter import FoldSplitter as FoldSplitter
    from mritk.splits.split_rule import SplitRule as SplitRule
    from mritk.trial import Outcome as Outcome
    from mritk.trial import Plan as Plan
    from mritk.trial import Trial as Trial

__version__ = "0.1.0"

_HOME = {
    "unpacked": "mritk.files.archives",
    "Background": "mritk.plugins.background",
    "lazy": "mritk.lazy_function",
    "packaged_text": "mritk.files.packaged",
    "available_cores": "mritk.machine.cores",
    "ClassFile": "mritk.reading.class_tree",
    "ClassTree": "mritk.reading.class_tree",
    "named_classes": "mritk.reading.class_tree",
    "class_tree": "mritk.reading.class_tree",
    "Derived": "mritk.data.derived",
    "kept": "mritk.data.derived",
    "list_folder": "mritk.reading.file_tree",
    "list_tree": "mritk.reading.file_tree",
    "grey_levels": "mritk.reading.grey_levels",
    "require_memory": "mritk.machine.host_memory",
    "read_image": "mritk.reading.image_file",
    "part_of": "mritk.reading.parts",
    "PassedOver": "mritk.reading.passed_over",
    "Scans": "mritk.reading.scan_tree",
    "Classification": "mritk.data.samples",
    "Regression": "mritk.data.samples",
    "Samples": "mritk.data.samples",
    "canonical_name": "mritk.reading.spelling",
    "is_missing": "mritk.reading.spelling",
    "one_spelling": "mritk.reading.spelling",
    "Subset": "mritk.data.subset",
    "is_image_name": "mritk.reading.suffixes",
    "TableRow": "mritk.reading.text_table",
    "TextTable": "mritk.reading.text_table",
    "read_text_table": "mritk.reading.text_table",
    "PluginDeprecationWarning": "mritk.errors",
    "sha256_of": "mritk.files.digests",
    "fetch_file": "mritk.files.download",
    "DataError": "mritk.errors",
    "MritkError": "mritk.errors",
    "Unavailable": "mritk.errors",
    "UsageError": "mritk.errors",
    "Metric": "mritk.evaluate.metric",
    "Undefined": "mritk.evaluate.metric",
    "hookimpl": "mritk.plugins.hookspecs",
    "Alias": "mritk.records",
    "Architecture": "mritk.records",
    "Augmentation": "mritk.records",
    "BackboneFamily": "mritk.records",
    "BenchmarkFile": "mritk.records",
    "Dataset": "mritk.records",
    "DatasetFamily": "mritk.records",
    "Executor": "mritk.records",
    "Explainer": "mritk.records",
    "InputContract": "mritk.records",
    "LostJob": "mritk.records",
    "Method": "mritk.method",
    "ProtocolFile": "mritk.records",
    "Weights": "mritk.records",
    "open_regular_file": "mritk.files.regular_file",
    "supplied_file": "mritk.files.manual",
    "locked": "mritk.files.waiting",
    "Epoch": "mritk.method",
    "Fitted": "mritk.method",
    "Setup": "mritk.method",
    "open_whole": "mritk.files.atomic",
    "whole_folder": "mritk.files.atomic",
    "Workspace": "mritk.files.workspace",
    "StoredResults": "mritk.results.frames",
    "read_results": "mritk.results.frames",
    "FoldSplitter": "mritk.splits.sklearn_splitter",
    "SplitRule": "mritk.splits.split_rule",
    "Outcome": "mritk.trial",
    "Plan": "mritk.trial",
    "Trial": "mritk.trial",
}

__all__ = list(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'mritk' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return [*globals(), *__all__]
