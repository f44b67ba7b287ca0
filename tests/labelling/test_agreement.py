"""Agreement of a sample's coders, against pingouin, scikit-learn and a slow jackknife; tables, figure, messages."""

import doctest
import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pingouin
import pytest
from scipy.stats import t
from sklearn.metrics import cohen_kappa_score

from aulight.labelling import together
from aulight.labelling.agreement import rows_of
from aulight.labelling.sample import Drawn, Key, Sample
from aulight.labelling.store import Store, create
from aulight.labelling.together import Said, counting, open_frames

Command = Callable[..., Any]
Table = pd.DataFrame

AUS = (1, 12)
PEOPLE = 8


def made(folder: Path, coders: tuple[str, ...], unknown: float = 0.1) -> tuple[Store, Table]:
    """A store in which all have coded all, and what they said: ``person, video, frame, au, coder, score``."""
    keys: list[Key] = [(f"v{i}", j) for i in range(PEOPLE) for j in range(6)]
    frames = {key: Drawn(*key, 0, key[1], 0.0, f"S{key[0]}") for key in keys}
    create(Sample(folder, AUS, frames, {}), 1.0, 0, coders, coders[0])
    store, rng, rows = Store(folder), np.random.default_rng(len(coders)), []
    for key in keys:
        for au in AUS:
            true = rng.integers(0, 6)
            for place, coder in enumerate(coders):
                score = None if rng.random() < unknown else int(np.clip(true + rng.integers(-1, 2) + place, 0, 5))
                store.score(f"{coder} {key} {au}", coder, key, au, score, 1.0)
                rows.append((f"S{key[0]}", *key, au, coder, score))
    return store, pd.DataFrame(rows, columns=["person", "video", "frame", "au", "coder", "score"])


def wide(said: Table, au: int, coders: tuple[str, ...]) -> Table:
    """Frames that all these coders have scored, a column each, by person."""
    table = said[(said["au"] == au) & said["coder"].isin(coders)]
    return table.pivot(index=["person", "video", "frame"], columns="coder", values="score").dropna()


def slow(table: Table) -> dict[str, float]:
    """The measures of frames by coders, each by another library."""
    long = table.reset_index(drop=True).rename_axis("t").reset_index().melt("t", var_name="r", value_name="s")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = pingouin.intraclass_corr(long, "t", "r", "s").set_index("Type")["ICC"]
    names = list(table)
    pairs = [(table[a].astype(int), table[b].astype(int)) for i, a in enumerate(names) for b in names[i + 1 :]]
    return {
        "icc31": float(found[found.index.isin(["ICC(C,1)", "ICC3"])].iat[0]),
        "icc21": float(found[found.index.isin(["ICC(A,1)", "ICC2"])].iat[0]),
        "kappa": float(np.mean([cohen_kappa_score(a, b, weights="quadratic", labels=range(6)) for a, b in pairs])),
        "equal": float(np.mean([(a == b).mean() for a, b in pairs])),
    }


def slow_interval(tables: list[Table], name: str, people: list[str]) -> tuple[float, float]:
    """Tukey's jackknife over people, of the mean over tables."""
    whole = np.mean([slow(table)[name] for table in tables])
    left = [np.mean([slow(table.drop(index=who, level="person"))[name] for table in tables]) for who in people]
    n = len(people)
    centre = whole - (n - 1) * (np.mean(left) - whole)
    reach = t.ppf(0.95, n - 1) * np.sqrt((n - 1) / n * ((left - np.mean(left)) ** 2).sum())
    return centre - reach, centre + reach


@pytest.mark.parametrize("coders", [("c1", "c2"), ("c1", "c2", "c3")])
def test_is_what_slow_oracles_say(tmp_path: Path, coders: tuple[str, ...]) -> None:
    store, said = made(tmp_path, coders)
    rows = rows_of(store, 0.9, "quadratic")
    sets = [("c1", "c2")] if len(coders) == 2 else [("c1", "c2"), ("c1", "c3"), ("c2", "c3"), coders]
    assert [(row.coders, row.au) for row in rows] == [(some, au) for some in sets for au in ("AU01", "AU12", "mean")]
    people = sorted(said["person"].unique())
    for row in rows:
        tables = [wide(said, au, row.coders) for au in AUS if row.au in (f"AU{au:02}", "mean")]
        expected = pd.DataFrame([slow(table) for table in tables]).mean().to_dict()
        assert row.values == pytest.approx(expected)
        assert row.frames == max(map(len, tables))
        assert row.people == PEOPLE
    for row, name in ((rows[0], "icc21"), (rows[1], "kappa"), (rows[-1], "icc31"), (rows[-1], "equal")):
        tables = [wide(said, au, row.coders) for au in AUS if row.au in (f"AU{au:02}", "mean")]
        low, high = slow_interval(tables, name, people)
        assert row.intervals[name] == pytest.approx((max(low, -1), min(high, 1)))


def test_few_people_have_no_interval(tmp_path: Path) -> None:
    store, _ = made(tmp_path, ("c1", "c2"), unknown=0)
    store._connection.execute("UPDATE frames SET subject = 'one' WHERE video > 'v2'")
    for row in rows_of(store, 0.95, "linear"):
        assert row.people == 4
        assert set(row.intervals.values()) == {"needs 5 subjects"}


def test_frames_are_looked_at_worst_first(tmp_path: Path) -> None:
    """Oracle: the sum over AUs of the distance of the extreme scores, over the table of all that was said."""
    store, said = made(tmp_path, ("c1", "c2", "c3"))
    frames, waiting = open_frames(store)
    assert waiting == {}
    assert len(frames) == 6 * PEOPLE
    of_au = said.groupby(["video", "frame", "au"])["score"]
    by_key = of_au.agg(lambda of: of.max() - of.min()).groupby(["video", "frame"]).sum()
    assert [frame.apart for frame in frames] == sorted(by_key, reverse=True)
    for frame in frames:
        assert frame.apart == by_key[frame.key]
        table = said[(said["video"] == frame.key[0]) & (said["frame"] == frame.key[1])]
        for au in AUS:
            scores = table[table["au"] == au]["score"]
            assert (au in frame.differing) == (scores.nunique(dropna=False) > 1)


def test_a_frame_waits_for_all_who_have_begun(tmp_path: Path) -> None:
    store, _ = made(tmp_path, ("c1", "c2"))
    store.score("a third one", "c3", ("v0", 0), 1, 2, 1.0)
    frames, waiting = open_frames(store)
    assert (len(frames), waiting) == (0, {"c3": 6 * PEOPLE})
    store.score("and done with it", "c3", ("v0", 0), 12, None, 1.0)
    frames, waiting = open_frames(store)
    assert [frame.key for frame in frames] == [("v0", 0)]
    assert waiting == {"c3": 6 * PEOPLE - 1}


@pytest.mark.parametrize(
    ("said", "empty", "median"),
    [
        ({"c1": 3}, 3, 3),
        ({"c1": 3, "c2": 3}, 3, 3),
        ({"c1": 3, "c2": None}, 3, 3),
        ({"c1": None, "c2": None}, None, None),
        ({"c1": 2, "c2": 3}, None, 2),
        ({"c1": 0, "c2": 5, "c3": 1}, None, 1),
        ({"c1": 0, "c2": 5, "consensus": 4}, 4, 4),
        ({"c1": 2, "c2": 2, "consensus": None}, None, None),
    ],
)
def test_which_score_counts(said: Said, empty: int | None, median: int | None) -> None:
    assert (counting(said, "empty")[0], counting(said, "median")[0]) == (empty, median)


def test_examples() -> None:
    assert doctest.testmod(together).failed == 0


def test_the_command(aulight: Command, tmp_path: Path) -> None:
    store, said = made(tmp_path, ("c1", "c2"))
    (tmp_path / "images").mkdir()
    for number in range(6 * PEOPLE):
        (tmp_path / "images" / f"{number:04}_v{number // 6}_{number % 6}.png").touch()
    for _ in range(2):  # its own files are written anew
        done = aulight("agreement", f"sample={tmp_path}", "worst=4", "level=0.9")
        assert done.status == 0, done.err
    table = pd.read_csv(tmp_path / "agreement/agreement.csv")
    assert table["au"].tolist() == ["AU01", "AU12", "mean"]
    expected = slow(wide(said, 12, ("c1", "c2")))
    row = dict(zip(table, table.to_numpy()[1].tolist(), strict=True))
    assert {name: row[name] for name in expected} == pytest.approx(expected, abs=1e-4)
    low, high = slow_interval([wide(said, 12, ("c1", "c2"))], "kappa", sorted(said["person"].unique()))
    assert [row["kappa_low"], row["kappa_high"]] == pytest.approx([low, min(high, 1)], abs=1e-4)
    assert f"  AU12  {row['frames']:>6}{PEOPLE:>7}  {expected['icc31']:.2f} [" in done.out
    worst = pd.read_csv(tmp_path / "agreement/worst_frames.csv")
    assert len(worst) == 4
    assert worst["apart"].is_monotonic_decreasing
    first = worst.iloc[0]
    assert first["picture"].endswith(f"_{first['video']}_{first['frame']}.png")
    assert (tmp_path / first["picture"]).is_file()
    assert f"{first['video']}, frame {first['frame']}: {first['scores']}" in done.out
    assert re.search(rf"http://127.0.0.1:\d+/[\w-]{{32}}/#{first['video']}/{first['frame']}\n", done.out)
    assert (tmp_path / "agreement/agreement.png").read_bytes().startswith(b"\x89PNG")
    assert store.scores()  # it is open still, and can be read


def test_a_single_coder_has_nobody_to_agree_with(aulight: Command, tmp_path: Path) -> None:
    made(tmp_path, ("c1",))
    done = aulight("agreement", f"sample={tmp_path}")
    assert done.status == 2
    assert "no AU of any frame has been scored by two coders yet (1 have begun)" in done.err
    assert not (tmp_path / "agreement").exists()


@pytest.mark.parametrize("there", [False, True])
def test_a_folder_without_scores_is_refused(aulight: Command, tmp_path: Path, there: bool) -> None:
    folder = tmp_path if there else tmp_path / "nowhere"
    done = aulight("agreement", f"sample={folder}")
    assert (done.status, len(done.err.splitlines())) == (2, 1)
    assert "labels.sqlite: not there; nobody has coded frames" in done.err
    assert list(tmp_path.iterdir()) == []


def test_what_others_wrote_stays(aulight: Command, tmp_path: Path) -> None:
    made(tmp_path, ("c1", "c2"))
    (tmp_path / "agreement").mkdir()
    (tmp_path / "agreement/agreement.csv").write_text("mine")
    done = aulight("agreement", f"sample={tmp_path}")
    assert (done.status, "agreement.csv: there already" in done.err) == (2, True)
    assert (tmp_path / "agreement/agreement.csv").read_text() == "mine"
