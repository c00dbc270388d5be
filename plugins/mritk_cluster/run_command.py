"""The command ``mritk run`` that a cluster is to execute."""

from __future__ import annotations

from collections.abc import Sequence

from mritk import UsageError

EXAMPLE = "'mritk cluster … -- mritk run STUDY.toml --results FOLDER'"
EXECUTOR = "--executor"


def on_ray(command: Sequence[str], address: str) -> list[str]:
    """Return a command that trains its trials on the Ray cluster at an address.

    Raises:
        UsageError: It is not ``mritk run``, or is to train elsewhere.
    """
    words = list(command)
    program = words[0].rpartition("/")[2] if words else ""
    if program != "mritk" or "run" not in words:
        given = " ".join(words) or "no command"
        raise UsageError(f"expected 'mritk run …' after '--', got {given!r}; as in {EXAMPLE}")
    if any(word == EXECUTOR or word.startswith(f"{EXECUTOR}=") for word in words):
        raise UsageError(
            f"the cluster's Ray trains the trials; remove {EXECUTOR} from the command after '--'"
        )
    for word in words:
        require_one_line("the command", word)
    return [*words, EXECUTOR, f"ray:{address}"]


def require_one_line(what: str, text: str) -> None:
    """Refuse a text that would become several lines of a script.

    Raises:
        UsageError: It contains a control character.
    """
    if not text.isprintable():
        raise UsageError(f"{what} contains a control character: {text!r}; write it on one line")
