"""Numbers, names and tables as text, Markdown and LaTeX."""

import pandas as pd

from aulight.errors import printable
from aulight.scoring.intervals import Interval


def decimals(value: float | None) -> str:
    """A number as tables show it, with three decimals; a dash for None."""
    return "–" if value is None else f"{value:.3f}".replace("-0.000", "0.000")


def signed(value: float | None) -> str:
    """The same of a difference, with its sign."""
    text = decimals(value)
    return f"+{text}" if text[0].isdigit() else text


def interval(ends: Interval | None, why_none: str | None = None) -> str:
    """The ends of an interval as tables show them; for None, why there is none, or a dash."""
    return why_none or "–" if ends is None else f"[{decimals(ends.low)}, {decimals(ends.high)}]"


def p_value(value: float | None, why_none: str | None = None) -> str:
    """A p-value as tables show it; for None, why there is none, or a dash."""
    if value is None:
        return why_none or "–"
    return "<0.001" if value < 0.0005 else decimals(value)


def level(share: float) -> str:
    """How tables call intervals of a level, for example ``95% interval``."""
    return f"{100 * share:g}% interval"


def text_columns(table: pd.DataFrame) -> list[bool]:
    """Which columns hold names and words, and are set flush left."""
    words = ("Dataset", "Labels", "Model", "Against", "Convention", "Source", "Note")
    return [name in words for name in table.columns]


def markdown(table: pd.DataFrame) -> str:
    """A table of text in Markdown, columns padded to read well as plain text."""
    cells = [[str(name) for name in table.columns], *table.astype(str).to_numpy().tolist()]
    cells = [[printable(cell).replace("|", "\\|") for cell in row] for row in cells]
    widths = [max(len(row[i]) for row in cells) for i in range(len(table.columns))]
    left = text_columns(table)
    padded = [
        [cell.ljust(w) if text else cell.rjust(w) for cell, w, text in zip(row, widths, left, strict=True)]
        for row in cells
    ]
    rule = ["-" * w + ("-" if text else ":") for w, text in zip(widths, left, strict=True)]
    lines = [f"| {' | '.join(row)} |" for row in padded]
    return "\n".join([lines[0], f"|-{'|-'.join(rule)}|", *lines[1:]]) + "\n"


_LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "–": "--",
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
}


def latex_escape(text: str) -> str:
    """Text as LaTeX prints it literally."""
    return "".join(_LATEX.get(sign, sign) for sign in text)


def latex(table: pd.DataFrame, caption: str) -> str:
    """A table of text as a LaTeX table; it needs the package booktabs."""
    left = text_columns(table)
    rows = [[str(name) for name in table.columns], *table.astype(str).to_numpy().tolist()]
    lines = [" & ".join(map(latex_escape, row)) for row in rows]
    body = " \\\\\n".join(lines[1:])
    return (
        "\\begin{table}\n\\centering\n\\small\n"
        f"\\caption{{{latex_escape(caption)}}}\n"
        f"\\begin{{tabular}}{{{''.join('l' if text else 'r' for text in left)}}}\n\\toprule\n"
        f"{lines[0]} \\\\\n\\midrule\n{body} \\\\\n\\bottomrule\n\\end{{tabular}}\n\\end{{table}}\n"
    )
