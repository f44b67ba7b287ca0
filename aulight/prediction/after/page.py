"""``index.html``: all videos of a folder on one page that needs no network.

It links to the tables and pictures beside it. Whatever comes from a file (names, problems) is escaped.
"""

import math
from collections.abc import Mapping
from html import escape
from itertools import groupby, islice
from pathlib import Path
from string import Template
from urllib.parse import quote

import numpy as np
import pandas as pd

from aulight.facs import AU_NAMES, au_of
from aulight.prediction.after.people import LEVELS, PARTS
from aulight.prediction.after.records import EVENTS, FACES, After
from aulight.prediction.after.summary import Failed, Scored, cooccurrence_table, overall
from aulight.prediction.companion import Companion
from aulight.prediction.videos import OVERLAY
from aulight.prediction.writing import PARTIAL

_PAGE, _STYLE, _SCRIPT = (
    Path(__file__).with_name(name).read_text(encoding="utf-8") for name in ("page.html", "page.css", "page.js")
)

STRIPS = 5
"""AUs whose course a video shows: those that move most."""

MOST_CARDS, MOST_FAILED = 2000, 500
"""Videos that are shown, some kilobytes each, and lines of those that failed: browsers open no page of gigabytes."""

PAIRS = 10
"""Pairs of AUs that are shown."""

_LINKS = (
    (EVENTS, "events"), (".eaf", "ELAN"), (OVERLAY, "video with bars"), (".png", "plot"),
    (".csv", "table"), (".parquet", "table"),
)  # fmt: skip

_FACES = "This page shows faces: pass it on as you would the videos. thumbnails=false leaves them out."
_NO_FACES = "No faces are shown on this page."


def page(videos: Scored, failed: Mapping[str, Failed], thumbnails: bool, output: Path) -> str:
    """Writes the page.

    Args:
        videos: What was scored, by names.
        failed: What could not be.
        thumbnails: Whether to show faces.
        output: The folder that the page will lie in.

    Returns:
        An HTML document; of other files it loads small pictures beside it alone.
    """
    seconds = sum(video.after.seconds for video in videos.values() if video.after)
    frames, with_face = (
        sum(numbers) for numbers in ([of.frames for of in videos.values()], [_seen(of) for of in videos.values()])
    )
    about = [f"{len(videos):,} {'video' if len(videos) == 1 else 'videos'}", f"{_clock(seconds)} (h:min:s)"]
    about += [f"{frames:,} frames", f"{with_face / frames:.0%} of them with a face"] if frames else []
    broken = {name: video.problem for name, video in videos.items() if video.problem}
    about += [f"{len(failed) + len(broken)} not read to the end"] if failed or broken else []
    has_faces = thumbnails and any(video.after and video.after.moments for video in videos.values())
    cards = [_card(name, video, thumbnails, output) for name, video in islice(videos.items(), MOST_CARDS)]
    return Template(_PAGE).substitute(
        title="Action units of all videos",
        about=escape(", ".join(about)) + f'. <a href="summary.csv">summary.csv</a> {_SO_ON}',
        privacy=_FACES if has_faces else _NO_FACES,
        style=_STYLE,
        script=_SCRIPT,
        failed=_failed(failed, broken),
        videos=_videos(cards, len(videos)),
        overall=_overall(videos),
    )


_SO_ON = 'and <a href="cooccurrence.csv">cooccurrence.csv</a> hold the numbers.'


def _seen(video: Companion) -> int:
    return video.frames_with_a_face


def _failed(failed: Mapping[str, Failed], broken: Mapping[str, str | None]) -> str:
    lines = [f"{name}: {told.problem}" for name, told in failed.items()]
    lines += [f"{name}: {problem} (scored up to there)" for name, problem in broken.items()]
    if not lines:
        return ""
    if len(lines) > MOST_FAILED:
        lines = [*lines[:MOST_FAILED], f"and {len(lines) - MOST_FAILED:,} more, which summary.csv has"]
    items = "".join(f"<li>{escape(line)}</li>" for line in lines)
    return f'<aside class="failed"><h3>What failed, and why</h3><ul>{items}</ul></aside>'


def _videos(cards: list[str], count: int) -> str:
    if not cards:
        return "<p>Nothing was scored.</p>"
    orders = {"name": "name", "face": "share with a face", "quality": "quality", "seconds": "length"}
    options = "".join(f'<option value="{key}">{what}</option>' for key, what in orders.items())
    controls = (
        f'<div class="controls"><label>Find <input id="find" type="search"></label>'
        f'<label>Order by <select id="order">{options}</select></label><span class="quiet" id="told"></span></div>'
    )
    more = f"<p>The first {len(cards):,} of {count:,} by name; summary.csv has all.</p>" if count > len(cards) else ""
    return f'<h2>Videos</h2>{more}{controls}<div class="videos">{"".join(cards)}</div>'


def _card(name: str, video: Companion, thumbnails: bool, output: Path) -> str:
    after = video.after or After.model_validate({"asked": {"events": None, "elan": False, "faces": False}})
    folder = Path(name).parent
    share = _seen(video) / video.frames if video.frames else 0.0
    first = after.people[0] if after.people else None
    photos = video.settings.pictures == "photos"
    told = [] if photos else [_clock(after.seconds)]
    told += [f"{video.frames:,} {'photos' if photos else 'frames'}", f"face in {share:.0%}"]
    told += [f"quality {first.quality:.2f}"] if first is not None and first.quality is not None else []
    people = len(after.people) + after.more_people
    told += [f"{people:,} people"] if people > 1 else []
    parts = [f"<h3>{escape(name)}</h3>", f'<p class="quiet">{escape(" · ".join(told))}</p>']
    parts += [f'<p class="problem">{escape(video.problem)}</p>'] if video.problem else []
    pictures = next((file for file in video.files if FACES in file), None)
    if thumbnails and after.moments and pictures is not None and (output / folder / pictures).is_file():
        parts.append(_faces(after, _address(folder, pictures), photos))
    parts.append(_strips(after) if not photos else "")
    if first is not None and (counts := [(au, unit.events) for au, unit in first.aus.items() if unit.events]):
        most = sorted(counts, key=lambda entry: -entry[1])[:6]
        parts.append(f'<p class="quiet">events: {", ".join(f"{au} ×{count}" for au, count in most)}</p>')
    links = [
        f'<a href="{_address(folder, file)}">{what}</a>'
        for file in video.files
        for what in [next((what for ending, what in _LINKS if file.removesuffix(PARTIAL).endswith(ending)), None)]
        if what is not None
    ]
    quality = "" if first is None or first.quality is None else f"{first.quality:.4f}"
    data = {"name": name, "face": f"{share:.4f}", "quality": quality, "seconds": f"{after.seconds:.2f}"}
    attributes = " ".join(f'data-{key}="{escape(value)}"' for key, value in data.items())
    content = "".join(parts)
    return f'<article class="video" {attributes}>{content}<div class="links">{"".join(links)}</div></article>\n'


def _faces(after: After, address: str, photos: bool) -> str:
    captions = [
        f"{moment.au} {moment.value:.1f}<br>{f'photo {moment.frame}' if photos else _clock(moment.seconds)}"
        for moment in after.moments
    ]
    count = len(captions)
    named = "".join(f"<span>{caption}</span>" for caption in captions)
    return (
        f'<figure class="faces" style="max-width:{96 * count}px"><img src="{address}" loading="lazy" decoding="async" '
        f'width="{96 * count}" height="96" alt="Faces at the strongest moments">'
        f"<figcaption>{named}</figcaption></figure>"
    )


def _strips(after: After) -> str:
    """The course of the AUs that move most, each with its highest intensity."""
    if not after.strips:
        return '<p class="quiet">No face was found.</p>'

    def levels(strip: str) -> list[int]:
        return [LEVELS.index(sign) for sign in strip if sign in LEVELS]

    moved = {au: max(levels(strip)) - min(levels(strip)) for au, strip in after.strips.items()}
    most = sorted((au for au in moved if moved[au] > 1), key=lambda au: -moved[au])[:STRIPS]
    if not most:
        return '<p class="quiet">No action unit moves.</p>'
    rows = [
        f'<span title="{escape(AU_NAMES.get(au_of(au), ""))}">{au}</span>{_drawn(after.strips[au])}'
        f"<span>{after.people[0].aus[au].highest:.1f}</span>"
        for au in sorted(most, key=au_of)
    ]
    return f'<div class="strips">{"".join(rows)}</div>'


def _drawn(strip: str) -> str:
    """A strip as an SVG: a column for each part of the video, grey where there is no face."""
    high, path, gaps, start = len(LEVELS), list[str](), list[str](), 0
    for sign, run in groupby(strip):
        length = len(list(run))
        if sign == "-":
            gaps.append(f'<rect class="gap" x="{start}" width="{length}" height="{high}"/>')
        begins = sign != "-" and (start == 0 or strip[start - 1] == "-")
        path.append(f"M{start} {high}" if begins else "")
        path.append("" if sign == "-" else f"V{high - LEVELS.index(sign)}h{length}")
        start += length
        path.append(f"V{high}z" if sign != "-" and (start == len(strip) or strip[start] == "-") else "")
    drawn = f'<path d="{"".join(path)}"/>'
    box = f'viewBox="0 0 {PARTS} {high}" preserveAspectRatio="none"'
    return f'<svg {box} aria-hidden="true">{"".join(gaps)}{drawn}</svg>'


def _overall(videos: Scored) -> str:
    numbers, pairs = overall(list(videos.values())), cooccurrence_table(videos)
    if numbers.empty:
        return ""
    named = numbers["au"].map(lambda au: f"{au} {AU_NAMES.get(au_of(au), '')}".strip())
    shown = pd.DataFrame(
        {
            "Action unit": named,
            "mean": _texts(numbers["mean"], "{:.2f}"),
            "share of time": _texts(numbers["share"], "{:.1%}"),
            "events a minute": _texts(numbers["per_min"], "{:.2f}"),
            "mean peak": _texts(numbers["peak"], "{:.2f}"),
        }
    )
    parts = ["<h2>Over all videos</h2>", _table(shown, 1)]
    most = pairs[pairs["jaccard"] > 0].sort_values("jaccard", ascending=False, kind="stable").head(PAIRS)
    if len(most):
        texts = {
            "together, share of time": _texts(most["share"], "{:.1%}"),
            "Jaccard": _texts(most["jaccard"], "{:.2f}"),
        }
        together = pd.DataFrame({"AU": most["au"], "with": most["with"], **texts})
        words = "<p class='quiet'>Jaccard: time in which both are present, of the time in which either is.</p>"
        parts.append(f"<h3>Which go together most</h3>{words}{_table(together, 2)}")
    return "".join(parts)


def _texts(numbers: "pd.Series[float]", how: str) -> list[str]:
    return ["–" if math.isnan(number) else how.format(number) for number in numbers.to_numpy(np.float64).tolist()]


def _table(table: pd.DataFrame, names: int) -> str:
    kinds = [' class="text"' if place < names else "" for place in range(len(table.columns))]
    head = "".join(f'<th scope="col"{kind}>{escape(str(name))}</th>' for name, kind in zip(table, kinds, strict=True))
    rows = "".join(
        f"<tr>{''.join(f'<td{kind}>{escape(cell)}</td>' for cell, kind in zip(row, kinds, strict=True))}</tr>"
        for row in table.astype(str).to_numpy().tolist()
    )
    content = f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
    return f'<div class="scroll" role="region" tabindex="0" aria-label="Numbers">{content}</div>'


def _address(folder: Path, file: str) -> str:
    """Of a file, from the page: never taken for another scheme."""
    return "./" + quote((folder / file).as_posix())


def _clock(seconds: float) -> str:
    whole = round(seconds)
    hours, minutes = whole // 3600, whole // 60 % 60
    return f"{hours}:{minutes:02d}:{whole % 60:02d}" if hours else f"{minutes}:{whole % 60:02d}"
