"""Tie groups: rows share a letter if and only if they do not differ significantly."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence


def tie_groups(names: Sequence[str], different: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return letters per name: the compact letter display.

    Insert and absorb: one group of all is split at each pair that differs, and groups within
    another one are dropped. Piepho 2004, An algorithm for a letter-based representation of
    all-pairwise comparisons, J. Comput. Graph. Stat. 13, 456–466.

    Args:
        names: Rows, best first; letters are given in this order.
        different: Pairs that can be told apart.
    """
    rank = {name: number for number, name in enumerate(names)}
    groups = {frozenset(names)}
    for one, other in different:
        if one not in rank or other not in rank:
            continue
        for group in [group for group in groups if {one, other} <= group]:
            groups.remove(group)
            for part in (group - {one}, group - {other}):
                if not any(part <= kept for kept in groups):
                    groups = {kept for kept in groups if not kept < part} | {part}
    ordered = sorted(groups, key=lambda group: sorted(rank[name] for name in group))
    letters = {group: letter(number) for number, group in enumerate(ordered)}
    return {name: "".join(letters[group] for group in ordered if name in group) for name in names}


def letter(number: int) -> str:
    """Return a, b, …, z, and then a2, b2, …"""
    round_, position = divmod(number, 26)
    return chr(ord("a") + position) + (str(round_ + 1) if round_ else "")


def letters_of(text: str) -> set[str]:
    """Return the letters of a row one by one.

    >>> sorted(letters_of("ab2"))
    ['a', 'b2']
    """
    return set(re.findall(r"[a-z]\d*", text))
