"""Pieces of an HTML page. Their texts are escaped here, their contents are HTML already."""

from base64 import b64encode
from collections.abc import Iterable, Sequence
from html import escape
from typing import NamedTuple

import pandas as pd

from aulight.report.formats import text_columns


class Picture(NamedTuple):
    """A figure as SVG: as wide as it is drawn on a desk, and for a phone."""

    wide: str
    narrow: str


def count(number: int, thing: str) -> str:
    """A number of things, for example ``2 runs``."""
    return f"{number} {thing}{'' if number == 1 else 's'}"


def bullets(lines: Iterable[str]) -> str:
    """A list, a line each."""
    return f"<ul>{''.join(f'<li>{escape(line)}</li>' for line in lines)}</ul>"


def details(title: str, content: str) -> str:
    """Content that a click on its title shows."""
    return f"<details><summary>{escape(title)}</summary>{content}</details>"


def scroll(content: str, label: str) -> str:
    """A box that scrolls by itself, also by keyboard, where its content is wider than the page."""
    return f'<div class="scroll" role="region" tabindex="0" aria-label="{escape(label)}">{content}</div>'


def figure(picture: Picture, caption: str) -> str:
    """A picture with its caption; it shrinks with the page, and on a phone another is shown that is drawn for it."""
    wide, narrow = (f"data:image/svg+xml;base64,{b64encode(svg.encode()).decode()}" for svg in picture)
    return (
        f'<figure><picture><source media="(max-width: 600px)" srcset="{narrow}">'
        f'<img src="{wide}" alt="{escape(caption)}"></picture><figcaption>{escape(caption)}</figcaption></figure>'
    )


def table(table: pd.DataFrame, label: str, left: int | None = None, drawings: Sequence[str] = ()) -> str:
    """A table of text whose columns sort; its last column may be drawings, which do not.

    Args:
        table: Texts.
        label: What the table shows, for those who do not see it.
        left: Number of leading columns that hold names and not numbers; None finds it by their titles.
        drawings: HTML for the last cell of each row.
    """
    texts = text_columns(table) if left is None else [i < left for i in range(len(table.columns))]
    kinds = [' class="text"' if text else "" for text in texts]
    heads = [
        f'<th scope="col"{kind}><button type="button">{escape(str(name))}</button></th>'
        for name, kind in zip(table.columns, kinds, strict=True)
    ]
    rows = [
        [f"<td{kind}>{escape(cell)}</td>" for cell, kind in zip(row, kinds, strict=True)]
        for row in table.astype(str).to_numpy().tolist()
    ]
    if drawings:
        heads.append('<th scope="col" class="text">Difference, drawn</th>')
        rows = [[*row, f"<td>{drawing}</td>"] for row, drawing in zip(rows, drawings, strict=True)]
    body = "\n".join(f"<tr>{''.join(row)}</tr>" for row in rows)
    return scroll(f"<table>\n<thead><tr>{''.join(heads)}</tr></thead>\n<tbody>{body}</tbody>\n</table>", label)
