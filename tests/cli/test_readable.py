"""Values of a trial file as a person reads them."""

from __future__ import annotations

import pytest

from mritk.cli.readable import readable


@pytest.mark.parametrize(
    ("label", "value", "shown"),
    [
        ("cost.peak_host_memory_bytes", 910397440.0, "910 MB"),
        ("notes.model.bytes", 999, "999 B"),
        ("notes.model.bytes", 999_600, "1 MB"),
        ("cost.peak_device_memory_bytes", 3.2e13, "32 TB"),
        ("cost.seconds_fit", 0.10307310600001074, "0.1031"),
        ("cost.flops", 258240.0, "258240"),
        ("seed", 0, "0"),
        ("grouped", True, True),
        ("protocol", "fast", "fast"),
    ],
)
def test_numbers_have_the_digits_that_matter_and_bytes_a_unit(label, value, shown):
    assert readable(label, value) == shown


@pytest.mark.slow
def test_a_trial_is_shown_with_its_history_and_without_raw_numbers(run_toy, mritk, tmp_path):
    run_toy("--seeds", 1)
    (path,) = (tmp_path / "results" / "trials").glob("*.h5")
    lines = mritk("show", path).out.splitlines()
    heads = next(number for number, line in enumerate(lines) if line.startswith("epoch "))
    assert [line.split()[:2] for line in lines[heads + 2 :]] == [
        ["1", "head"],
        ["2", "all"],
        ["3", "all"],
    ]
    numbers = [line.split()[-1] for line in lines[:heads] if line.startswith("cost.seconds")]
    assert numbers
    assert all(len(number) < 10 for number in numbers)
    assert any(line.endswith(("MB", "GB")) for line in lines if "memory_bytes" in line)
