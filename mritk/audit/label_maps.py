"""What is wrong with the label maps of a segmentation, each thing as one line for a person."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from mritk.audit.audit import Audit
from mritk.audit.findings import Finding, Level
from mritk.audit.image_index import ImageIndex
from mritk.data.samples import MapFacts, Samples
from mritk.images.label_maps import background_alone, broken_label_maps
from mritk.text.listed import first_few, many


def with_label_maps(found: Audit, samples: Samples | None = None) -> Audit:
    """Return an audit with what is wrong with the label maps; they are read for this every time.

    Args:
        found: Of any datasets.
        samples: Those of a single dataset, if they are to read the label maps and keep what was
            seen of them; None: the samples of the audit read them.
    """
    findings: list[Finding] = []
    start = 0
    for dataset in found.datasets:
        images = found.copies.clusters[start : start + len(dataset.samples)].tolist()
        findings += _findings(samples or dataset.samples, dataset.index, images)
        start += len(dataset.samples)
    return found.with_findings(findings)


def _findings(samples: Samples, index: ImageIndex, images: Sequence[int]) -> Iterator[Finding]:
    """Yield what is wrong with the label maps of N samples, of which copies show one of images."""
    if broken := broken_label_maps(samples, index.shapes):
        named = [f"{samples.ids[row]} ({reason})" for row, reason in broken.items()]
        text = f"{len(named)} of {len(samples)} label maps are unusable: {first_few(named)}"
        yield Finding("defect", "unreadable", text, len(named), tuple(named))
    if empty := background_alone(samples):
        text = f"{len(empty)} of {len(samples)} label maps hold background alone"
        level: Level = "defect" if len(empty) == len(samples) else "note"
        yield Finding(level, "background", f"{text}: {first_few(empty)}", len(empty), empty)
    if shared := list(_of_several_patients(samples, images)):
        text = f"{many(len(shared), 'label map')} under several patient ids: {first_few(shared)}"
        # Of one voxel, or a whole frame, two may be alike by chance.
        yield Finding("note", "maps", text, len(shared), tuple(shared))


def _of_several_patients(samples: Samples, images: Sequence[int]) -> Iterator[str]:
    """Yield the ids and patients of different images that have one label map, not an empty one."""
    patients = samples.patients
    if patients is None:
        return
    first_of_image: dict[str, dict[int, int]] = defaultdict(dict)
    for row, facts in enumerate(samples.map_outcomes):
        if isinstance(facts, MapFacts) and facts.largest > 0:
            first_of_image[facts.digest].setdefault(images[row], row)
    for found in first_of_image.values():
        rows = found.values()
        if len({patients[row] for row in rows}) > 1:
            yield " = ".join(f"{samples.ids[row]} ({patients[row]})" for row in rows)
