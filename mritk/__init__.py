"""mritk: a plugin-based benchmarking toolkit for brain-MRI deep learning.

The names below are the public interface for plugins; they load on first use, so that importing
mritk costs nothing and never imports torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mritk.lazy_import import lazy_names

if TYPE_CHECKING:
    from mritk.backbone import Backbone as Backbone
    from mritk.data.recent import Recent as Recent
    from mritk.data.samples import Samples as Samples
    from mritk.errors import DataError as DataError
    from mritk.errors import MritkError as MritkError
    from mritk.errors import PluginDeprecationWarning as PluginDeprecationWarning
    from mritk.errors import Unavailable as Unavailable
    from mritk.errors import UsageError as UsageError
    from mritk.errors import one_line as one_line
    from mritk.evaluate.metric import Metric as Metric
    from mritk.evaluate.metric import Undefined as Undefined
    from mritk.execute.beside import jobs_beside as jobs_beside
    from mritk.files.archives import unpacked as unpacked
    from mritk.files.atomic import open_whole as open_whole
    from mritk.files.atomic import whole_folder as whole_folder
    from mritk.files.digests import sha256_of as sha256_of
    from mritk.files.download import fetch_file as fetch_file
    from mritk.files.manual import manual_file as manual_file
    from mritk.files.packaged import packaged_text as packaged_text
    from mritk.files.regular_file import open_regular_file as open_regular_file
    from mritk.files.user_path import user_path as user_path
    from mritk.files.waiting import locked as locked
    from mritk.files.workspace import Workspace as Workspace
    from mritk.images.derived import Derived as Derived
    from mritk.images.derived import kept as kept
    from mritk.images.grid import Grid as Grid
    from mritk.images.input_contract import InputContract as InputContract
    from mritk.images.sample_grid import to_sample_grid as to_sample_grid
    from mritk.images.stored_images import images_at as images_at
    from mritk.images.subset import Subset as Subset
    from mritk.lazy_import import lazy as lazy
    from mritk.machine.cores import available_cores as available_cores
    from mritk.machine.cores import stated_threads as stated_threads
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
    from mritk.records import ExecutorFamily as ExecutorFamily
    from mritk.records import Explainer as Explainer
    from mritk.records import LostJob as LostJob
    from mritk.records import ProtocolFile as ProtocolFile
    from mritk.records import StateDict as StateDict
    from mritk.records import Weights as Weights
    from mritk.results.frames import StoredResults as StoredResults
    from mritk.results.frames import read_results as read_results
    from mritk.seeds import derive as derive
    from mritk.splits.sklearn_splitter import FoldSplitter as FoldSplitter
    from mritk.splits.split_rule import SplitRule as SplitRule
    from mritk.tasks.classification import Classification as Classification
    from mritk.tasks.regression import Regression as Regression
    from mritk.tasks.segmentation import Segmentation as Segmentation
    from mritk.tasks.task import Task as Task
    from mritk.tasks.unlabelled import Unlabelled as Unlabelled
    from mritk.trial import Outcome as Outcome
    from mritk.trial import Plan as Plan
    from mritk.trial import Trial as Trial

__version__ = "0.1.0"

_PUBLIC = {
    "mritk.backbone": "Backbone",
    "mritk.images.derived": "Derived kept",
    "mritk.images.grid": "Grid",
    "mritk.images.input_contract": "InputContract",
    "mritk.data.recent": "Recent",
    "mritk.images.sample_grid": "to_sample_grid",
    "mritk.images.stored_images": "images_at",
    "mritk.data.samples": "Samples",
    "mritk.images.subset": "Subset",
    "mritk.errors": "DataError MritkError PluginDeprecationWarning Unavailable UsageError one_line",
    "mritk.evaluate.metric": "Metric Undefined",
    "mritk.execute.beside": "jobs_beside",
    "mritk.files.archives": "unpacked",
    "mritk.files.atomic": "open_whole whole_folder",
    "mritk.files.digests": "sha256_of",
    "mritk.files.download": "fetch_file",
    "mritk.files.manual": "manual_file",
    "mritk.files.packaged": "packaged_text",
    "mritk.files.regular_file": "open_regular_file",
    "mritk.files.user_path": "user_path",
    "mritk.files.waiting": "locked",
    "mritk.files.workspace": "Workspace",
    "mritk.lazy_import": "lazy",
    "mritk.machine.cores": "available_cores stated_threads",
    "mritk.machine.host_memory": "require_memory",
    "mritk.method": "Epoch Fitted Method Setup",
    "mritk.plugins.background": "Background",
    "mritk.plugins.hookspecs": "hookimpl",
    "mritk.reading.class_tree": "class_tree ClassFile ClassTree named_classes",
    "mritk.reading.file_tree": "list_folder list_tree",
    "mritk.reading.grey_levels": "grey_levels",
    "mritk.reading.image_file": "read_image",
    "mritk.reading.parts": "part_of",
    "mritk.reading.passed_over": "PassedOver",
    "mritk.reading.scan_tree": "Scans",
    "mritk.reading.spelling": "canonical_name is_missing one_spelling",
    "mritk.reading.suffixes": "is_image_name",
    "mritk.reading.text_table": "read_text_table TableRow TextTable",
    "mritk.records": (
        "Alias Architecture Augmentation BackboneFamily BenchmarkFile Dataset DatasetFamily "
        "Executor ExecutorFamily Explainer LostJob ProtocolFile StateDict Weights"
    ),
    "mritk.results.frames": "read_results StoredResults",
    "mritk.seeds": "derive",
    "mritk.splits.sklearn_splitter": "FoldSplitter",
    "mritk.splits.split_rule": "SplitRule",
    "mritk.tasks.classification": "Classification",
    "mritk.tasks.regression": "Regression",
    "mritk.tasks.segmentation": "Segmentation",
    "mritk.tasks.task": "Task",
    "mritk.tasks.unlabelled": "Unlabelled",
    "mritk.trial": "Outcome Plan Trial",
}

__all__, __getattr__, __dir__ = lazy_names(__name__, _PUBLIC, {"supplied_file": "manual_file"})
