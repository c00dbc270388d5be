"""Overlap as nnU-Net's own evaluation has it: its ``summary.json`` is the oracle."""

from __future__ import annotations

import json
import math
import os
import subprocess
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from mritk.evaluate.cases import dice
from mritk_segmentation.overlap import iou

REAL = os.environ.get("MRITK_TEST_NNUNET", "")
LABELS = (1, 2, 3)


@pytest.mark.slow
@pytest.mark.skipif(not REAL, reason="MRITK_TEST_NNUNET names no environment with nnunetv2")
def test_dice_and_iou_are_those_of_nnunet(tmp_path):
    rng = np.random.default_rng(0)
    maps = {}
    for name in ("gt", "pred"):
        (tmp_path / name).mkdir()
    for number in range(6):
        reference = rng.integers(0, 4, (7, 6, 5), dtype=np.uint8)
        predicted = np.where(rng.random(reference.shape) < 0.4, reference, 0).astype(np.uint8)
        if number == 0:  # a label of neither, and one that only the reference has
            reference[reference == 3], predicted[predicted >= 2] = 0, 0
        for folder, values in (("gt", reference), ("pred", predicted)):
            path = tmp_path / folder / f"case{number}.nii.gz"
            nib.save(nib.Nifti1Image(values, np.diag([2.0, 1, 1, 1])), path)
        maps[f"case{number}.nii.gz"] = predicted, reference
    command = [Path(REAL) / "bin" / "nnUNetv2_evaluate_simple", tmp_path / "gt", tmp_path / "pred"]
    words = ["-l", *LABELS, "-np", 1, "-o", tmp_path / "summary.json"]
    subprocess.run([*map(str, command + words)], check=True, capture_output=True, timeout=120)
    told = json.loads((tmp_path / "summary.json").read_text())["metric_per_case"]
    assert len(told) == 6
    for case in told:
        predicted, reference = maps[Path(case["reference_file"]).name]
        for label in LABELS:
            regions = predicted == label, reference == label
            wanted = case["metrics"][str(label)]
            for name, measure in (("Dice", dice), ("IoU", iou)):
                found = measure(*regions, (2.0, 1.0, 1.0))
                if not any(region.any() for region in regions):
                    assert math.isnan(found)
                    assert math.isnan(wanted[name])
                else:
                    assert found == pytest.approx(wanted[name], abs=1e-12)
