"""A protocol in words, from the canonical JSON that a trial file keeps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mritk.protocol.stored import StoredProtocol

SCHEMES = {
    "official": "the official test set",
    "holdout": "one test set, drawn",
    "kfold": "each of {folds} folds is the test set once",
    "site": "each acquisition site is the test set once",
}
TOLD = ("batch_size", "head")
# Lists that have sentences of their own. A method may call something else by the same name.
LISTED: Mapping[str, Any] = {"stages": Mapping, "penalties": (int, float)}


def protocol_words(
    stored: StoredProtocol,
    scheme: str,
    *,
    volumes: bool | None = None,
    own_model: bool = False,
) -> list[str]:
    """Return sentences that say how a model was trained, chosen and tested.

    Args:
        stored: The protocol; keys may be absent, or unknown.
        scheme: What the split scheme came to.
        volumes: Whether samples are volumes, not images; None: unknown.
        own_model: Whether the method has a model of its own, and no backbone.
    """
    protocol, parameters = stored.data, dict(stored.parameters)
    stages, penalties = (_taken(parameters, name, of) for name, of in LISTED.items())
    twice = protocol.get("normalise_again", ())
    small = "A small-scale rehearsal with random weights: scores are meaningless."
    sentences = [
        *([small] if stored.rehearsal else []),
        f"Method {protocol.get('method', 'unknown')}; "
        f"{_inputs(protocol, volumes, own_model)}; precision "
        f"{protocol.get('precision', 'unknown')}.",
        *_preprocessing(protocol.get("preprocessing", {})),
        *([f"Pixels are normalised twice for {', '.join(twice)}."] if twice else []),
        _split(stored, scheme),
        _selection(stored),
        *(_stage(n, stage) for n, stage in enumerate(stages, 1)),
    ]
    if penalties:
        tried = ", ".join(f"{penalty:g}" for penalty in penalties)
        sentences.append(f"L2 penalty selected from {tried}.")
    if "batch_size" in parameters:
        sentences.append(f"Batch size {parameters['batch_size']}.")
    others = [f"{k} = {v}" for k, v in sorted(parameters.items()) if k not in TOLD]
    return sentences + ([f"Other parameters: {', '.join(others)}."] if others else [])


def _taken(parameters: dict[str, Any], name: str, kind: Any) -> list[Any]:
    """Take a list of one kind of values out of the parameters; nothing if it is none."""
    found = parameters.get(name)
    if not isinstance(found, list) or not all(isinstance(one, kind) for one in found):
        return []
    return parameters.pop(name)


def _inputs(protocol: Mapping[str, Any], volumes: bool | None, own_model: bool) -> str:
    native = "their own size" if own_model else "the native size of the backbone"
    size, side = protocol.get("image_size"), protocol.get("volume_size")
    of_images = f"images of {f'{size} × {size} px' if size else native}"
    of_volumes = f"volumes of {f'{side} × {side} × {side} voxels' if side else native}"
    if volumes is None:
        return f"{of_images}, or {of_volumes}"
    return of_volumes if volumes else of_images


def _preprocessing(changes: Mapping[str, Any]) -> list[str]:
    grey = ["turned grey"] if changes.get("grey") else []
    blur = [f"blurred (Gaussian, σ {changes['blur']:g} px)"] if changes.get("blur") else []
    return [f"After resizing, all images are {' and '.join(grey + blur)}."] if grey or blur else []


def _split(protocol: StoredProtocol, scheme: str) -> str:
    split = protocol.split
    how = SCHEMES.get(scheme, scheme).format(folds=split.get("folds", "several"))
    copies = {
        "drop": "duplicates are kept in one split, or dropped",
        "keep": "duplicates may be in different splits",
    }.get(str(split.get("copies")), "duplicates were not searched for")
    few = f"; {protocol.shots} training samples per class" if protocol.shots else ""
    if protocol.train_patients:
        few = f"; {protocol.train_patients} training patients"
    seen = "; the validation set is the test set" if protocol.validates_on_test else ""
    if protocol.trained_on_test_images:
        seen += "; images of the test set are trained on, without labels"
    return f"Split {scheme}: {how}; {copies}{few}{seen}."


def _selection(protocol: StoredProtocol) -> str:
    on, by = (protocol.selection.get(key, "unknown") for key in ("on", "by"))
    if on == "last":
        return "The checkpoint of the last epoch is used."
    part = "test" if protocol.selected_on_test else {"val": "validation"}.get(on, on)
    return f"The checkpoint with the best {by} on the {part} set is used."


def _stage(number: int, stage: Mapping[str, Any]) -> str:
    share = stage.get("train_last", 1.0)
    what = {0: "the head only", 1: "the whole network"}.get(
        share, f"the head and the last {100 * share:.0f} % of the backbone"
    )
    tune = {"biases": ", biases only", "lora": ", with low-rank updates (LoRA)"}.get(
        stage.get("tune", "all"), ""
    )
    rate = f"learning rate {stage.get('learning_rate', 0):g}"
    if stage.get("backbone_learning_rate"):
        rate += f" (backbone {stage['backbone_learning_rate']:g})"
    stop, anew = stage.get("early_stopping", 0), stage.get("restart_selection", False)
    early = f", early stopping after {stop} epochs without improvement" if stop else ""
    restart = "; checkpoints of earlier stages are discarded" if anew else ""
    return (
        f"Stage {number}: {what}{tune}, {_epochs(stage.get('epochs'))} at most, "
        f"{stage.get('optimizer', '?')}, {rate}, {stage.get('schedule', '?')} schedule, "
        f"weight decay {stage.get('weight_decay', 0):g}{early}{restart}."
    )


def _epochs(count: object) -> str:
    return "1 epoch" if count == 1 else f"{count} epochs"
