"""What to type for a name that stands without the option in front of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from shlex import quote

from mritk.backbone import split_name
from mritk.plugins.loading import NOUNS, name_of
from mritk.plugins.registry import Registry
from mritk.records import Family, Weights

OPTIONS: Mapping[str, str] = {
    "dataset": "-d",
    "backbone": "-b",
    "augmentation": "-a",
    "protocol": "--protocol",
}


def name_hint(name: str, registry: Registry, nouns: Sequence[str] = tuple(OPTIONS)) -> str:
    """Return what to type for a name that plugins provide; empty if none does.

    Nothing is looked up in a family: of ``PREFIX:MEMBER``, the prefix is enough.

    Args:
        name: What was typed.
        registry: Knows the names.
        nouns: Those of :data:`OPTIONS` that may be meant.
    """
    found = [noun for noun in nouns if _is_provided(name, noun, registry)]
    ways = [f"the {noun} as {OPTIONS[noun]} {quote(name)}" for noun in found]
    return f"specify {' or '.join(ways)}" if ways else ""


def _is_provided(name: str, noun: str, registry: Registry) -> bool:
    plain = split_name(name)[0] if noun == "backbone" else name.partition(",")[0]
    for record in (one for kind in NOUNS[f"{noun}s"] for one in registry.records(kind)):
        if isinstance(record, Family):
            member = record.member_of(name)
            if member or (member is not None and not record.placeholder):
                return True
        elif not isinstance(record, Weights) and name_of(record) == plain:
            return True
    return False
