"""A protocol in words, from the canonical JSON that a trial file keeps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mritk.protocol.stored import StoredProtocol

SCHEMES = {
    "official": "the dataset's own test part",
    "holdout": "one test part, drawn",
    "kfold": "each of {folds} parts is the test part once",
    "site": "each acquisition site is the test part once",
}
TOLD = ("stages", "batch_size", "head", "penalties")


def protocol_words(stored: StoredProtocol, scheme: str) -> list[str]:
    """Return sentences that say how a model was trained, chosen and tested.

    Args:
        stored: The protocol; keys may be absent, or unknown.
        scheme: What the split scheme came to.
    """
    protocol, parameters = stored.data, stored.parameters
    size = protocol.get("image_size")
    twice = protocol.get("normalise_again", ())
    small = "A rehearsal, in small and with random weights: its scores mean nothing."
    sentences = [
        *([small] if protocol.get("rehearsal") else []),
        f"Method {protocol.get('method', 'unknown')}; images of "
        f"{f'{size} × {size} px' if size else 'the size that the backbone declares'}; precision "
        f"{protocol.get('precision', 'unknown')}.",
        *_preprocessing(protocol.get("preprocessing", {})),
        *([f"Pixels are normalised twice for {', '.join(twice)}."] if twice else []),
        _split(stored, scheme),
        _selection(stored),
        *(_stage(n, stage) for n, stage in enumerate(parameters.get("stages", ()), 1)),
    ]
    if "penalties" in parameters:
        tried = ", ".join(f"{penalty:g}" for penalty in parameters["penalties"])
        sentences.append(f"A linear model on frozen features, with L2 penalties {tried} tried.")
    if "batch_size" in parameters:
        sentences.append(f"Batches of {parameters['batch_size']} images.")
    others = [f"{k} = {v}" for k, v in sorted(parameters.items()) if k not in TOLD]
    return sentences + ([f"Further parameters: {', '.join(others)}."] if others else [])


def _preprocessing(changes: Mapping[str, Any]) -> list[str]:
    grey = ["turned grey"] if changes.get("grey") else []
    blur = [f"blurred (Gaussian, σ {changes['blur']:g} px)"] if changes.get("blur") else []
    return [f"All images, resized, are {' and '.join(grey + blur)}."] if grey or blur else []


def _split(protocol: StoredProtocol, scheme: str) -> str:
    split = protocol.split
    how = SCHEMES.get(scheme, scheme).format(folds=split.get("folds", "several"))
    copies = {
        "drop": "copies of an image stay on one side, or are dropped",
        "keep": "copies fall anywhere",
    }.get(str(split.get("copies")), "copies were not looked for")
    few = f"; {protocol.shots} training samples per class" if protocol.shots else ""
    seen = "; the validation part is the test part" if protocol.validates_on_test else ""
    return f"Split {scheme}: {how}; {copies}{few}{seen}."


def _selection(protocol: StoredProtocol) -> str:
    on, by = (protocol.selection.get(key, "unknown") for key in ("on", "by"))
    if on == "last":
        return "The state after the last epoch is kept."
    part = "test" if protocol.selected_on_test else {"val": "validation"}.get(on, on)
    return f"The state with the best {by} on the {part} part is kept."


def _stage(number: int, stage: Mapping[str, Any]) -> str:
    share = stage.get("train_last", 1.0)
    what = {0: "the head alone", 1: "the whole network"}.get(
        share, f"the head and the last {100 * share:.0f} % of the backbone"
    )
    tune = {"biases": ", biases alone", "lora": ", by low-rank updates (LoRA)"}.get(
        stage.get("tune", "all"), ""
    )
    rate = f"learning rate {stage.get('learning_rate', 0):g}"
    if stage.get("backbone_learning_rate"):
        rate += f" (backbone {stage['backbone_learning_rate']:g})"
    stop, anew = stage.get("early_stopping", 0), stage.get("restart_selection", False)
    return (
        f"Stage {number}: {what}{tune}, {_epochs(stage.get('epochs'))} at most, "
        f"{stage.get('optimizer', '?')}, {rate}, {stage.get('schedule', '?')} schedule, weight "
        f"decay {stage.get('weight_decay', 0):g}"
        f"{f', stopped after {stop} epochs without progress' if stop else ''}"
        f"{'; states of earlier stages no longer count' if anew else ''}."
    )


def _epochs(count: object) -> str:
    return "1 epoch" if count == 1 else f"{count} epochs"
