"""A table for a paper: booktabs, with its caption and its notes (threeparttable)."""

from __future__ import annotations

import re
from collections.abc import Sequence

from mritk.text.text_table import Column

PACKAGES = "% Needs: \\usepackage{booktabs,threeparttable}"
SPECIAL = {
    "\\": r"\textbackslash{}",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': "''",
    "`": r"\textasciigrave{}",
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
}
# Characters outside ASCII are not every LaTeX installation's.
SIGNS = {
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
    "–": "--",
    "—": "---",
    "−": "$-$",
    "·": r"$\cdot$",
    "×": r"$\times$",
    "±": r"$\pm$",
    "≤": r"$\leq$",
    "≥": r"$\geq$",
    "²": "$^2$",
    "κ": r"$\kappa$",
    "χ": r"$\chi$",
    "…": r"\ldots{}",
    "’": "'",
    "\u00a0": "~",
    "\u2009": r"\,",
    "†": r"$^\dagger$",
    "‡": r"$^\ddagger$",
    "§": r"$^\S$",
    "¶": r"$^\P$",
    "‖": r"$^\|$",
    "◊": r"$^\diamond$",
    "°": r"$^\circ$",
}
ARROWS = "↑↓"
COMMANDS = SPECIAL | SIGNS


def latex_text(text: str) -> str:
    """Return a text in which nothing is a command to LaTeX, wherever it stands."""
    told = "".join(COMMANDS.get(character, character) for character in " ".join(text.split()))
    # Behind the end of a row, and behind \\item, these would be options.
    return f"{{}}{told}" if told[:1] in ("[", "*") else told


def latex_table(columns: Sequence[Column], caption: str, notes: Sequence[str], label: str) -> str:
    """Return a floating table with a caption above and notes below, ready to be pasted.

    Args:
        columns: What it shows; texts that are escaped here, as all others are.
        caption: What its rows share.
        notes: What a reader must know, one sentence each.
        label: What ``\\ref`` names it by, behind ``tab:``.
    """
    kinds = "".join("r" if column.right else "l" for column in columns)
    told = [[_heading(column), *map(latex_text, column.cells)] for column in columns]
    even = [[text.ljust(max(map(len, texts))) for text in texts] for texts in told]
    lines = [f"{' & '.join(row)} \\\\" for row in zip(*even, strict=True)]
    body = [r"\toprule", lines[0], r"\midrule", *lines[1:], r"\bottomrule"]
    items = [f"      \\item {latex_text(note)}" for note in notes]
    foot = [r"    \begin{tablenotes}[flushleft]\footnotesize", *items, r"    \end{tablenotes}"]
    return "\n".join(
        [
            r"\begin{table}[htbp]",
            r"  \centering\small\setlength{\tabcolsep}{4pt}",
            r"  \begin{threeparttable}",
            f"    \\caption{{{latex_text(caption)}}}",
            f"    \\label{{tab:{_label(label)}}}",
            f"    \\begin{{tabular}}{{@{{}}{kinds}@{{}}}}",
            *(f"      {line}" for line in body),
            r"    \end{tabular}",
            *(foot if items else []),
            r"  \end{threeparttable}",
            r"\end{table}",
        ]
    )


def _heading(column: Column) -> str:
    """Return the heading, its words one upon the other where it is the widest of its column."""
    words = column.heading.split()
    if words[-1] in ARROWS:
        words[-2:] = [f"{words[-2]} {words[-1]}"]
    if len(words) == 1 or len(column.heading) <= max(map(len, column.cells), default=0):
        return latex_text(column.heading)
    side = "r" if column.right else "l"
    lines = r" \\ ".join(map(latex_text, words))
    return rf"\shortstack[{side}]{{{lines}}}"


def _label(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "-", text).strip("-").lower()
