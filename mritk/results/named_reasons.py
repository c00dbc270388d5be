"""Why a number is undefined, with the names of classes: metrics know their numbers only."""

from __future__ import annotations

import re
from dataclasses import replace

from mritk.evaluate.metric import Value
from mritk.tasks.task import Task

NUMBER = re.compile(r"\bclass number (\d+)\b")


def named_reason(reason: str, task: Task) -> str:
    """Return ``class number 1 has no sample`` as ``class glioma has no sample``."""

    def name(found: re.Match[str]) -> str:
        number = int(found[1])
        return f"class {task.classes[number]}" if number < len(task.classes) else found[0]

    return NUMBER.sub(name, reason)


def named_value(value: Value, task: Task) -> Value:
    """Return a value whose reason names classes; see :func:`named_reason`."""
    return replace(value, reason=named_reason(value.reason, task))
