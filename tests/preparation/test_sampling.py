"""Which frames to label: who is drawn, what the pictures show, and the way back into a training run."""

import itertools
import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from aulight.cli.commands.sample import sample
from aulight.data.description import DatasetDescription
from aulight.data.store import PreparedDataset
from aulight.data.video.write import write_video
from aulight.data.writer import StoreWriter
from aulight.datasets import DISFA_AUS
from aulight.errors import AulightError
from aulight.facs import column
from aulight.files import alone
from aulight.preparation import coding, sampling, sheets
from aulight.preparation.coding import make_coding
from aulight.preparation.sampling import candidates, draw, labelled_times
from aulight.settings.data import FolderSettings
from aulight.settings.sample import SampleSettings
from aulight.version import __version__

Command = Callable[..., Any]
Frames = npt.NDArray[np.uint8]


def coded(video: int, count: int, size: int = 64) -> Iterator[Frames]:
    """Frames whose picture, a chequerboard of 16 bits, says which they are."""
    for frame in range(count):
        bits = (video << 10 | frame) >> np.arange(16) & 1
        grey = np.where(bits, 220, 30).astype(np.uint8).reshape(4, 4)
        yield np.repeat(np.kron(grey, np.ones((size // 4, size // 4), np.uint8))[..., None], 3, axis=2)


def decoded(picture: Frames) -> tuple[int, int]:
    """(video, frame) of a picture of any size."""
    small = cv2.resize(picture, (64, 64), interpolation=cv2.INTER_AREA).reshape(4, 16, 4, 16, 3)
    bits = small[:, 4:12, :, 4:12].mean((1, 3, 4)).ravel() > 125
    number = int((bits << np.arange(16)).sum())
    return number >> 10, number & 1023


SOURCE = {"a": np.r_[10:20, 30:40], "b": np.arange(5), "c": np.arange(60)}  # frames of `a` are missing in the raw video


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> PreparedDataset:
    """Videos `c` (first in the store), `b` and `a`; no face in frames 20 to 29 of `c`, labels in its first ten."""
    root = tmp_path_factory.mktemp("prepared") / "faces"
    meta: DatasetDescription = {
        "name": "mine",
        "aus": [4, 12],
        "fps": 25.0,
        "crop_size": 64,
        "source": {"folder": "/raw videos"},
    }
    with StoreWriter(root, meta) as store:
        for number, (name, source) in enumerate(reversed(SOURCE.items())):
            write_video(store.videos / f"{name}.mp4", coded(number, len(source)), 25)
            confidence = np.ones(len(source), np.float32)
            confidence[20:30] = 0 if name == "c" else 1
            known: Any = np.where(np.arange(len(source)) < 10, 1.0, np.nan) if name == "c" else [None] * len(source)
            store.add(name, f"S{name}", 25.0, source, confidence, labels={4: known, 12: [None] * len(source)})
    return PreparedDataset(root)


def table_of(*times: list[float]) -> pd.DataFrame:
    """What may be drawn from videos with frames at these times."""
    rows = [(f"v{i}", frame, frame, time, i) for i, video in enumerate(times) for frame, time in enumerate(video)]
    return pd.DataFrame(rows, columns=["video_id", "frame", "source_frame", "time_s", "person"])


def drawn_places(table: pd.DataFrame, count: int, seed: int, distance: float = 0.0) -> tuple[int, ...]:
    drawn = draw(table.assign(place=range(len(table))), count, seed, min_distance_s=distance).frames
    assert list(drawn["place"]) == sorted(drawn["place"])
    return tuple(drawn["place"])


# ---- the draw ---------------------------------------------------------------------------------------------------


def test_every_set_of_frames_is_as_likely_as_any_other() -> None:
    table = table_of([0, 1, 2, 3], [0, 5], [0])
    sets = list(itertools.combinations(range(7), 3))
    counts = Counter(drawn_places(table, 3, seed) for seed in range(40 * len(sets)))
    assert set(counts) <= set(sets)
    assert chisquare([counts[s] for s in sets]).pvalue > 0.01


def test_with_a_distance_sets_are_as_likely_as_drawing_one_after_another_makes_them() -> None:
    table = table_of([0, 1, 2, 3, 4], [0, 1])
    expected: Counter[tuple[int, ...]] = Counter()
    times = list(zip(table["video_id"], table["time_s"], strict=True))
    for order in itertools.permutations(range(7)):  # every order is as likely, and the slow loop says what it gives
        kept: list[int] = []
        for place in order:
            near = [k for k in kept if times[k][0] == times[place][0] and abs(times[k][1] - times[place][1]) < 2]
            kept += [] if near or len(kept) == 3 else [place]
        expected[tuple(sorted(kept))] += 1
    assert all(len(kept) == 3 for kept in expected)  # there is always room for three
    seeds = range(3000)
    counts = Counter(drawn_places(table, 3, seed, 2.0) for seed in seeds)
    assert set(counts) <= set(expected)
    share = len(seeds) / sum(expected.values())
    assert chisquare([counts[s] for s in expected], [share * n for n in expected.values()]).pvalue > 0.01


@pytest.mark.parametrize("distance", [0.0, 0.5])
def test_draws_are_seeded_nested_and_apart(distance: float) -> None:
    table = table_of(*([0.04 * frame for frame in range(500)] for _ in range(4)))
    large, small = (set(drawn_places(table, count, 7, distance)) for count in (60, 25))
    assert small < large == set(drawn_places(table, 60, 7, distance)) != set(drawn_places(table, 60, 8, distance))
    gaps = table.loc[sorted(large)].groupby("video_id")["time_s"].diff().dropna()
    assert (gaps >= distance - 1e-9).all()
    assert len(gaps) == 60 - 4


def test_an_exact_distance_is_far_enough() -> None:
    table = table_of([0.1 * frame for frame in range(31)])  # 0.1 * 3 - 0.1 * 2 < 0.1
    assert len(draw(table, 31, 0, min_distance_s=0.1).frames) == 31


@pytest.mark.parametrize(
    ("count", "distance", "parts"),
    [(8, 0.0, ["label_count=8", "only 7 frames"]), (4, 10.0, ["min_distance_s=10", "room for 3 of 4"])],
)
def test_more_than_there_is_room_for_is_refused(count: int, distance: float, parts: list[str]) -> None:
    with pytest.raises(AulightError) as error:
        draw(table_of([0, 1, 2, 3], [0, 5], [0]), count, 0, min_distance_s=distance)
    for part in parts:
        assert part in str(error.value)


@st.composite
def draws(drawing: st.DrawFn) -> tuple[pd.DataFrame, int, int, float | None]:
    """Some people of one or two videos with a few frames each; how many of them to draw, a seed, and a distance."""
    videos = drawing(st.lists(st.tuples(st.integers(0, 3), st.sets(st.integers(0, 60), min_size=1)), min_size=1))
    table = table_of(*([0.05 * frame for frame in sorted(frames)] for _, frames in videos))
    people = {f"v{i}": person for i, (person, _) in enumerate(videos)}
    table["person"] = table["video_id"].map(people)
    distance = drawing(st.sampled_from([None, 0.0, 0.1, 0.5, 2.0]))
    return table, drawing(st.integers(1, len(table))), drawing(st.integers(0, 9)), distance


def apart(table: pd.DataFrame) -> float:
    """The least time between two frames of a video, by looking at every two."""
    pairs = itertools.combinations(zip(table["video_id"], table["time_s"], strict=True), 2)
    return min((abs(a[1] - b[1]) for a, b in pairs if a[0] == b[0]), default=np.inf)


@settings(max_examples=60, deadline=None)
@given(draws(), st.sampled_from(["videos", "people"]))
def test_a_draw_is_as_even_as_can_be_and_apart(case: tuple[pd.DataFrame, int, int, float | None], spread: Any) -> None:
    """Oracle: all pairs of frames; and to who has two frames fewer than another, none could be added."""
    table, count, seed, distance = case
    group = {"videos": "video_id", "people": "person"}[spread]
    try:
        drawn = draw(table, count, seed, spread, distance)
    except AulightError as error:
        room = int(re.findall(r"room for (\d+)", str(error))[0])
        assert room < count
        assert apart(draw(table, room, seed, spread, distance).frames) >= (distance or 0) - 1e-6
        return
    frames = drawn.frames
    assert len(frames) == count == len(frames.merge(table))
    assert apart(frames) >= drawn.distance_s - 1e-6
    assert distance is None or drawn.distance_s == distance
    pd.testing.assert_frame_equal(frames, draw(table, count, seed, spread, distance).frames)
    before = table.iloc[:0]  # the largest draw at a larger distance
    for smaller in range(1, count):
        part = draw(table, smaller, seed, spread, distance)
        assert len(part.frames.merge(frames)) == smaller
        before = part.frames if part.distance_s > drawn.distance_s else before
    numbers = frames[group].value_counts().reindex(table[group].unique(), fill_value=0)
    more = numbers[numbers > before[group].value_counts().reindex(numbers.index, fill_value=0)].max()
    for who in numbers.index[numbers < more - 1]:
        rest = table[table[group] == who].merge(frames, how="left", indicator="known").query("known == 'left_only'")
        assert all(apart(pd.concat([frames, rest.iloc[i : i + 1]])) < drawn.distance_s - 1e-6 for i in range(len(rest)))


def test_distances_shrink_only_once_there_is_no_room() -> None:
    table = table_of([0.04 * frame for frame in range(100)])  # four seconds
    drawn = {count: draw(table, count, 5) for count in (1, 2, 8, 40, 100)}
    assert [of.distance_s for of in drawn.values()] == sorted((of.distance_s for of in drawn.values()), reverse=True)
    assert drawn[2].distance_s == 1
    assert drawn[100].distance_s == 0
    for of in drawn.values():
        assert apart(of.frames) >= of.distance_s - 1e-6


@pytest.mark.parametrize(
    ("spread", "distance", "others", "places"),
    [
        ("frames", None, {}, [1, 11, 17, 22, 34, 45, 53, 62, 67, 72, 78, 84, 91, 96]),
        ("frames", 0.3, {"v4": [1.0, 2.0]}, [1, 17, 22, 34, 42, 45, 49, 53, 67, 78, 81, 87, 91, 96]),
        ("videos", None, {}, [1, 4, 11, 17, 22, 27, 34, 45, 53, 62, 67, 72, 84, 96]),
        ("videos", 0.3, {"v4": [1.0, 2.0]}, [1, 4, 11, 15, 17, 22, 34, 42, 45, 49, 67, 81, 87, 96]),
        ("people", None, {"v4": [1.0, 2.0]}, [1, 4, 11, 17, 22, 27, 34, 37, 45, 53, 62, 64, 91, 96]),
        ("people", 0.3, {}, [1, 17, 22, 27, 34, 42, 45, 49, 53, 72, 81, 84, 87, 96]),
    ],
)
def test_a_seed_draws_what_it_drew_in_former_versions(
    spread: Any,
    distance: float | None,
    others: dict[str, list[float]],
    places: list[int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The oracle is what the first version drew, which made a list of all frames; in pieces it is the same."""
    table = table_of(*([frame / 10 for frame in range(8 * video + 4)] for video in range(5)))
    table = table.assign(person=table["person"] % 3, place=range(100))
    for piece in (sampling._PIECE, 7):
        monkeypatch.setattr(sampling, "_PIECE", piece)
        assert draw(table, 14, 3, spread, distance, others).frames["place"].tolist() == places


def test_the_table_of_all_frames_is_never_in_memory(
    faces: PreparedDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PreparedDataset, "frames", property(lambda _: pytest.fail("was read")))
    table = candidates(faces, unlabelled_only=True)
    drawn = draw(table, 12, 0, others=labelled_times(faces)).frames
    assert len(drawn) == 12
    (tmp_path / "images").mkdir()
    sheets.pictures(faces, drawn, tmp_path)
    assert len([*tmp_path.glob("images/*.png")]) == 12


def test_a_round_keeps_away_from_frames_that_have_labels() -> None:
    table = table_of([0.04 * frame for frame in range(100)], [0, 3])
    drawn = draw(table, 4, 0, min_distance_s=0.5, others={"v0": [1.0, 2.0]}).frames
    mine = drawn.loc[drawn["video_id"] == "v0", "time_s"].to_numpy()
    assert np.abs(mine[:, None] - [1.0, 2.0]).min() >= 0.5 - 1e-9


def test_only_frames_with_a_face_and_without_labels_are_candidates(faces: PreparedDataset) -> None:
    everything = [("a", i) for i in range(20)] + [("b", i) for i in range(5)] + [("c", i) for i in range(60)]
    seen = [(video, i) for video, i in everything if video != "c" or not 20 <= i < 30]
    table = candidates(faces, unlabelled_only=False)
    assert list(zip(table["video_id"], table["frame"], strict=True)) == seen
    table = candidates(faces, unlabelled_only=True)
    assert list(zip(table["video_id"], table["frame"], strict=True)) == [x for x in seen if x[0] != "c" or x[1] >= 10]


# ---- what is written --------------------------------------------------------------------------------------------


def load(path: Path) -> Frames:
    picture = cv2.imread(str(path))
    assert picture is not None
    return picture.astype(np.uint8)


def pictures(strip: Frames) -> list[Frames]:
    """The five pictures of a strip, cut out where they are drawn."""
    margin, side, top = sheets._MARGIN, sheets.SIDE, sheets._TEXT + 2 * sheets._MARGIN
    lefts = [margin + i * (side + 2 * margin) for i in range(5)]
    return [strip[top : top + side, left : left + side] for left in lefts]


def test_table_and_pictures(aulight: Command, faces: PreparedDataset, tmp_path: Path) -> None:
    output = tmp_path / "new" / "to code"
    outcome = aulight(
        "sample", f"data.root={faces.root}", "label_count=43", f"output={output}", "unlabelled_only=false"
    )
    assert outcome.status == 0, outcome.err
    assert f"'labels={output}/to_label.csv'" in outcome.out
    assert "'data.source=/raw videos'" in outcome.out
    assert {path.name for path in output.iterdir()} == {
        "to_label.csv", "sample.yaml", "images", "contact_sheet_01.png", "contact_sheet_02.png",
    }  # fmt: skip
    assert [path.name for path in output.parent.iterdir()] == ["to code"]

    table = pd.read_csv(output / "to_label.csv")
    assert list(table.columns) == ["video", "frame", "time_s", "AU04", "AU12"]
    assert table[["AU04", "AU12"]].isna().all(axis=None)
    assert len(table) == 43
    assert table.equals(table.sort_values(["video", "frame"], ignore_index=True))
    drawn = draw(candidates(faces, False), 43, 0).frames
    record = yaml.safe_load((output / "sample.yaml").read_text())
    assert record == {
        "dataset": "mine", "label_count": 43, "seed": 0, "spread": "frames", "min_distance_s": None,
        "unlabelled_only": False, "aus": [4, 12], "distance_s": 0.0, "aulight": __version__,
    }  # fmt: skip
    assert "neighbours: there is no room for 43 frames 1 s apart" in outcome.out
    most = table["video"].value_counts()
    assert f"{most['c']} of them show Sc, who is in most frames; spread=people draws evenly over people" in outcome.out
    assert table["video"].tolist() == drawn["video_id"].tolist()
    assert table["frame"].tolist() == drawn["source_frame"].tolist()
    np.testing.assert_allclose(table["time_s"], drawn["time_s"], atol=5e-4)

    number = {name: i for i, name in enumerate(reversed(SOURCE))}
    expected = [f"{i:04}_{row.video}_{row.frame}.png" for i, row in enumerate(table.itertuples(), start=1)]
    assert sorted(path.name for path in (output / "images").iterdir()) == expected
    borders = 0
    for name, video, frame in zip(expected, table["video"], drawn["frame"], strict=True):
        shown = pictures(load(output / "images" / name))
        for picture, position in zip(shown, range(frame - 2, frame + 3), strict=True):
            if 0 <= position < len(SOURCE[video]):
                assert decoded(picture) == (number[video], position)
            else:
                assert np.ptp(picture) == 0
                borders += 1
    assert borders > 0

    tile = sheets.TILE + 2 * sheets._MARGIN
    for sheet, rows in (("01", range(40)), ("02", range(40, 43))):
        picture = load(output / f"contact_sheet_{sheet}.png")
        for place, row in enumerate(rows):
            top, left = place // 8 * (tile + 2 * sheets._TEXT) + sheets._MARGIN, place % 8 * tile + sheets._MARGIN
            code = decoded(picture[top : top + sheets.TILE, left : left + sheets.TILE])
            assert code == (number[table["video"][row]], drawn["frame"][row])


def test_nothing_is_overwritten(aulight: Command, faces: PreparedDataset, tmp_path: Path) -> None:
    output = tmp_path / "out"
    command = ["sample", f"data.root={faces.root}", "label_count=3", f"output={output}", "aus=[1,25]"]
    assert aulight(*command).status == 0
    table = output / "to_label.csv"
    assert table.read_text(encoding="utf-8-sig").splitlines()[0] == "video,frame,time_s,AU01,AU25"
    table.write_text("filled in")
    outcome = aulight(*command, "seed=1")
    assert outcome.status == 2
    assert len(outcome.err.splitlines()) == 1
    assert f"output={output}: already there" in outcome.err
    assert table.read_text() == "filled in"


@pytest.mark.parametrize("faster", [False, True])
def test_two_at_once_are_one_and_a_line(
    faster: bool, aulight: Command, faces: PreparedDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the other writes; and when it has just ended, on a drive that has no locks."""
    output = tmp_path / "out"
    command = ["sample", f"data.root={faces.root}", "label_count=3", f"output={output}", "aus=[1,25]"]
    if not faster:
        with alone(output, "taken"):
            outcome = aulight(*command)
        assert list(tmp_path.iterdir()) == []
        assert outcome.err == f"aulight: output={output}: another process is writing it; give another folder\n"
    else:

        def first(data: PreparedDataset, drawn: pd.DataFrame, folder: Path) -> None:
            output.mkdir()
            (output / "to_label.csv").write_text("the other's")

        monkeypatch.setattr(coding, "pictures", first)
        outcome = aulight(*command)
        assert (output / "to_label.csv").read_text() == "the other's"
        assert outcome.err.startswith(f"aulight: output={output}: already there")
    assert (outcome.status, len(outcome.err.splitlines())) == (2, 1)


def test_an_unreadable_video_is_named_and_nothing_stays(aulight: Command, tmp_path: Path) -> None:
    root = tmp_path / "faces"
    with StoreWriter(root, {"name": "mine", "aus": [], "fps": 25.0, "crop_size": 64}) as store:
        (store.videos / "a.mp4").write_bytes(b"no video")
        store.add("a", "S", 25.0, np.arange(9), np.ones(9, np.float32))
    outcome = aulight("sample", f"data.root={root}", "label_count=3", f"output={tmp_path}/out/table")
    assert outcome.status == 2
    assert f"{root}/shards/000000.tar (a)" in outcome.err.splitlines()[-1]
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize(
    ("settings", "parts"),
    [
        (["label_count=0"], ["label_count=0", "at least 1"]),
        (["label_count=2.5"], ["label_count=2.5", "whole number"]),
        (["label_count=100"], ["label_count=100", "only 65 frames"]),
        (["min_distance_s=-1"], ["min_distance_s=-1"]),
        (["label_count=9", "min_distance_s=9"], ["min_distance_s=9", "found room for 2 of 9"]),
        (["spread=person"], ["spread=person", "people"]),
        (["aus=AU12"], ["aus=AU12", "[1,4,12]"]),
        (["aus=[0]"], ["aus=[0]"]),
        (["data.root=nowhere"], ["nowhere", "no prepared dataset"]),
    ],
)
def test_mistakes(
    settings: list[str], parts: list[str], aulight: Command, faces: PreparedDataset, tmp_path: Path
) -> None:
    outcome = aulight("sample", f"data.root={faces.root}", f"output={tmp_path}/out", *settings)
    assert outcome.status == 2
    assert len(outcome.err.splitlines()) == 1
    for part in parts:
        assert part in outcome.err
    assert list(tmp_path.iterdir()) == []


def test_an_output_is_needed(aulight: Command, faces: PreparedDataset) -> None:
    outcome = aulight("sample", f"data.root={faces.root}")
    assert (outcome.status, outcome.err) == (2, "aulight: output: no value given; add output=...\n")


def test_from_python_without_a_command_line(
    faces: PreparedDataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By settings; oracle: the room below them, drawing with the same seed."""
    data = {
        "name": "mine",
        "root": str(faces.root),
        "cache": None,
        "cache_gb": 20.0,
        "on_error": "raise",
        "protocol": {"name": "kfold", "folds": 3, "validation": 0.2, "seed": 0},
        "source": None,
        "faces": "mediapipe",
        "synthetic": None,
        "format": "folder",
        "reader": {"fps": 25.0, "pictures": "auto"},
    }
    settings = SampleSettings(
        data=FolderSettings.model_validate(data),
        data_dir=str(tmp_path),
        output=str(tmp_path / "settings"),
        label_count=5,
        seed=3,
        spread="videos",
        min_distance_s=0.0,
        unlabelled_only=True,
        aus=None,
    )
    sample(settings)
    coding = make_coding(faces, tmp_path / "room", (4, 12), settings)
    assert (coding.videos, coding.people, coding.remarks) == (3, 3, [])
    told = f"{tmp_path / 'settings'}/ (to_label.csv, images, contact sheets)"
    assert f"5 frames of 3 videos and 3 people: {told}" in capsys.readouterr().out
    tables = [(tmp_path / folder / "to_label.csv").read_bytes() for folder in ("settings", "room")]
    assert tables[0] == tables[1]


# ---- the whole loop ---------------------------------------------------------------------------------------------


def test_from_raw_videos_over_a_filled_table_to_a_trained_model(aulight: Command, tmp_path: Path) -> None:
    raw, root, output, runs = (tmp_path / name for name in ("raw", "prepared", "coding", "runs"))
    for i in range(6):
        folder = raw / f"day {i % 2}"
        folder.mkdir(parents=True, exist_ok=True)
        write_video(folder / f"talk{i}.mp4", coded(i, 40), 25)
    prepare = ["prepare", "data=folder", f"data.source={raw}", f"data.root={root}"]
    prepare += ["data.faces=none", "crop_size=64", "workers=1"]
    outcome = aulight(*prepare)
    assert outcome.status == 0, outcome.err
    assert not (root / "labels.parquet").exists()

    outcome = aulight("sample", f"data.root={root}", "label_count=90", f"output={output}", "min_distance_s=0.08")
    assert outcome.status == 0, outcome.err
    filled = pd.read_csv(output / "to_label.csv")
    assert list(filled.columns[3:]) == [column(au) for au in DISFA_AUS]
    rng = np.random.default_rng(0)
    for au in filled.columns[3:]:
        filled[au] = pd.array(rng.integers(0, 6, len(filled)), dtype="Int8")
    filled.loc[filled.index % 4 == 1, "AU05"] = pd.NA  # not seen by the coder
    filled.to_csv(output / "to_label.csv", index=False)

    before = {path.name: path.read_bytes() for path in (root / "shards").iterdir()}
    outcome = aulight(*prepare, f"labels={output}/to_label.csv")
    assert outcome.status == 0, outcome.err
    assert {path.name: path.read_bytes() for path in (root / "shards").iterdir()} == before
    data = PreparedDataset(root)
    assert data.aus == DISFA_AUS
    given = filled.rename(columns={"video": "video_id"}).drop(columns="time_s")
    given[data.columns] = given[data.columns].astype("Int8")
    there = data.labels.merge(data.frames[["video_id", "frame", "source_frame"]], on=["video_id", "frame"])
    there = there.drop(columns="frame").rename(columns={"source_frame": "frame"})[given.columns]
    key = ["video_id", "frame"]
    pd.testing.assert_frame_equal(
        there.sort_values(key, ignore_index=True), given.sort_values(key, ignore_index=True), check_dtype=False
    )
    again = aulight("sample", f"data.root={root}", "label_count=1000", f"output={output}-2")
    assert f"only {6 * 40 - 90} frames" in again.err  # those with labels are not drawn again

    outcome = aulight(
        "finetune", "data=folder", f"data.root={root}", "data.protocol.name=kfold", "data.protocol.folds=3", "fold=2",
        "label_fraction=1.0", f"runs={runs}", "name=mine", "steps=4", "steps_per_epoch=2", "loader.batch_size=4",
        "loader.workers=0", "threads=1", "clip.stride=[1,1]", "clip.length=4", "loader.chunk=40", "progress_s=0",
        "trainer.accelerator=cpu", "trainer.log_every_n_steps=1",
    )  # fmt: skip
    assert outcome.status == 0, outcome.err
    run = runs / "finetune" / "mine"
    record = yaml.safe_load((run / "run.yaml").read_text())
    used = pd.read_parquet(run / "labels_used.parquet")
    mine = data.labels[data.labels["video_id"].isin(used["video_id"])]
    assert {part: len(record["protocol"][part]) for part in ("train", "validation", "test")} == {
        "train": 3, "validation": 1, "test": 2,
    }  # fmt: skip
    assert set(used["subject"]) == set(record["protocol"]["train"])
    pd.testing.assert_frame_equal(used.drop(columns="subject"), mine.sort_values(key, ignore_index=True))
    assert set(pd.read_parquet(run / "predictions.parquet")["subject"]) == set(record["protocol"]["test"])
