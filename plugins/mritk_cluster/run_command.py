"""The command ``mritk run`` that a cluster is to execute."""

from __future__ import annotations

from collections.abc import Sequence

from mritk import UsageError

EXAMPLE = "'mritk cluster … -- mritk run STUDY.toml --results FOLDER'"
EXECUTOR = "--executor"
PLUGIN = "-p"  # the only option before the command's name that takes a word


def on_ray(command: Sequence[str], address: str) -> list[str]:
    """Return a command that trains its trials on the Ray cluster at an address.

    Raises:
        UsageError: It is not ``mritk run``, is to train elsewhere, or takes no further option.
    """
    words = list(command)
    program = words[0].rpartition("/")[2] if words else ""
    if program != "mritk" or _name_in(words[1:]) != "run":
        given = " ".join(words) or "no command"
        raise UsageError(f"expected 'mritk run …' after '--', got {given!r}; as in {EXAMPLE}")
    if any(word == EXECUTOR or word.startswith(f"{EXECUTOR}=") for word in words):
        raise UsageError(
            f"the cluster's Ray trains the trials; remove {EXECUTOR} from the command after '--'"
        )
    if "--" in words:
        raise UsageError(
            f"{EXECUTOR} is added at the end of the command, where '--' lets no option stand; "
            "remove the second '--'"
        )
    for word in words:
        require_one_line("the command", word)
    return [*words, EXECUTOR, f"ray:{address}"]


def _name_in(words: Sequence[str]) -> str:
    """Return the name of the command among the words after ``mritk``; empty if there is none."""
    left = list(words)
    while left and left[0].startswith("-"):
        del left[: 2 if left[0] == PLUGIN else 1]
    return left[0] if left else ""


def require_one_line(what: str, text: str) -> None:
    """Refuse a text that would become several lines of a script.

    Raises:
        UsageError: It contains a control character.
    """
    if not text.isprintable():
        raise UsageError(f"{what} contains a control character: {text!r}; write it on one line")
