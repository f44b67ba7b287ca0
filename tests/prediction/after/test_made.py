"""What `aulight predict` makes of its tables: per video, over a folder, and of what was there before."""

import json
import shutil
import xml.etree.ElementTree as etree
from collections.abc import Callable
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest
import torch

import aulight as package
from aulight.files import sha256
from tests.prediction.made import description, sealed, weights

Predict = Callable[..., Any]
AUS = ["AU01", "AU04", "AU12"]
SPREAD = 5.0
"""Of the intensities that random weights give."""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of random weights, which moves all over the scale."""
    random = weights()
    shape = random["regressor.linear.weight"].shape
    random["regressor.linear.weight"] = SPREAD * torch.randn(shape, generator=torch.Generator().manual_seed(2))
    random["regressor.mean"] = torch.tensor([1.5, 0.0, 1.0])
    return sealed(tmp_path_factory.mktemp("model") / "model.aulight", description(), random)


@pytest.fixture(scope="module")
def clips(smoke_videos: Path) -> list[Path]:
    return sorted(smoke_videos.glob("test*.mp4"))[:2]


@pytest.fixture
def given(clips: list[Path], tmp_path: Path) -> Path:
    """Two videos with names that a page must escape, one that is none, and one in a folder."""
    folder = tmp_path / "given"
    (folder / "day 1").mkdir(parents=True)
    shutil.copyfile(clips[0], folder / 'a<b>&"c" 100%?#.mp4')
    shutil.copyfile(clips[1], folder / "day 1" / "zoo.mp4")
    (folder / "broken.mp4").write_bytes(b"<script>alert(1)</script>" * 100)
    return folder


@pytest.fixture
def predict(aulight: Callable[..., Any], model: Path) -> Predict:
    def call(video: Path, output: Path, *more: str) -> Any:
        common = [f"model={model}", f"input={video}", f"output={output}", "faces=none", "workers=1"]
        return aulight("predict", *common, *more)

    return call


def _state(folder: Path) -> dict[str, tuple[int, str]]:
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {path.relative_to(folder).as_posix(): (path.stat().st_mtime_ns, sha256(path)) for path in files}


def _read(path: Path) -> pd.DataFrame:
    return pd.read_csv(path) if path.suffix == ".csv" else pd.read_parquet(path)


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_folder_has_events_and_tables_over_all(predict: Predict, given: Path, tmp_path: Path, kind: str) -> None:
    """Oracles: `aulight.events` of the tables, pandas' means, and a count of the frames that are in events."""
    out = tmp_path / "out"
    outcome = predict(given, out, f"format={kind}")
    assert outcome.status == 1  # one could not be read
    names = ['a<b>&"c" 100%?#', "day 1/zoo"]
    summary: Any = pd.read_csv(out / "summary.csv").set_index("video")
    assert list(summary.index) == sorted([*names, "broken"])
    present = list[pd.DataFrame]()
    for name in names:
        table = _read(out / f"{name}.{kind}")
        events: Any = pd.read_csv(out / f"{name}.events.csv")
        pd.testing.assert_frame_equal(events, package.events(table), check_dtype=False, atol=2e-6)
        row, minutes = summary.loc[name], len(table) / 25 / 60
        assert (row["frames"], row["face_share"]) == (len(table), 1.0)
        assert row["seconds"] == pytest.approx(len(table) / 25)
        inside = pd.DataFrame(False, index=table["timestamp"], columns=AUS)
        for event in events.itertuples():
            times = table["timestamp"].to_numpy()
            inside.loc[(times >= event.onset - 1e-9) & (times < event.offset - 1e-9), event.au] = True
        present.append(inside)
        for au in AUS:
            mine = events[events["au"] == au]
            assert row[f"{au}_mean"] == pytest.approx(table[f"{au}_r"].mean(), abs=1e-4)
            assert row[f"{au}_sd"] == pytest.approx(table[f"{au}_r"].std(), abs=1e-4)
            assert row[f"{au}_share"] == pytest.approx(inside[au].mean(), abs=1e-4)
            assert row[f"{au}_per_min"] == pytest.approx(len(mine) / minutes, abs=1e-3)
            if len(mine):
                assert row[f"{au}_peak"] == pytest.approx(mine["peak"].mean(), abs=1e-4)
    assert sum(of.to_numpy().any() for of in present) == 2, "there is something to see"
    assert summary.loc["broken", "frames"] == 0
    assert "broken.mp4" in summary.loc["broken", "problem"]
    pairs: Any = pd.read_csv(out / "cooccurrence.csv").set_index(["au", "with"])
    both = pd.concat(present)
    for one, other in combinations(AUS, 2):
        together, either = (both[one] & both[other]).sum() / 25, (both[one] | both[other]).sum() / 25
        row = pairs.loc[(one, other)]
        assert row["seconds"] == pytest.approx(together, abs=1e-3)
        assert row["share"] == pytest.approx(together / (len(both) / 25), abs=1e-3)
        assert (either == 0 and np.isnan(row["jaccard"])) or row["jaccard"] == pytest.approx(
            together / either, abs=1e-3
        )
    page = (out / "index.html").read_text(encoding="utf-8")
    assert "a&lt;b&gt;&amp;&quot;c&quot; 100%?#" in page
    assert "a<b>" not in page
    assert "<script>alert" not in page
    assert "./a%3Cb%3E%26%22c%22%20100%25%3F%23.events.csv" in page
    assert "./day%201/zoo.faces.jpg" in page
    assert "This page shows faces" in page
    assert "broken: " in page
    note = json.loads((out / "day 1/zoo.json").read_text())
    strip: Any = cv2.imread(str(out / "day 1/zoo.faces.jpg"))
    assert strip.shape == (96, 96 * len(note["after"]["moments"]), 3)
    values = _read(out / f"day 1/zoo.{kind}").set_index("frame")
    for moment in note["after"]["moments"]:
        course = values[f"{moment['au']}_r"]
        assert (course.idxmax(), round(float(course.max()), 2)) == (moment["frame"], moment["value"])


def test_other_settings_make_them_anew_and_leave_the_table(predict: Predict, given: Path, tmp_path: Path) -> None:
    out, video = tmp_path / "out", given / "day 1" / "zoo.mp4"
    assert predict(video, out).status == 0
    assert sorted(path.name for path in out.iterdir()) == ["zoo.csv", "zoo.events.csv", "zoo.json"]
    first = _state(out)
    assert "1 done before" in predict(video, out).out
    assert _state(out) == first
    assert "1 done before" in predict(video, out, "events.enter=3", "events.leave=2.5", "summary=true").out
    then = _state(out)
    assert first["zoo.csv"] == then["zoo.csv"]
    expected = package.events(pd.read_csv(out / "zoo.csv"), enter=3, leave=2.5)
    pd.testing.assert_frame_equal(pd.read_csv(out / "zoo.events.csv"), expected, check_dtype=False, atol=2e-6)
    assert {"summary.csv", "cooccurrence.csv", "index.html", "summary.json"} < then.keys()
    (out / "zoo.events.csv").unlink()  # is made of the table, again
    assert "1 done before" in predict(video, out, "events.enter=3", "events.leave=2.5").out
    assert _state(out)["zoo.events.csv"][1] == then["zoo.events.csv"][1]
    assert "1 done before" in predict(video, out, "events=null").out  # the folder's files, once there, are kept up
    assert sorted(_state(out)) == sorted(set(then) - {"zoo.events.csv"})
    assert np.isnan(pd.read_csv(out / "summary.csv")["AU12_share"]).all()
    assert not list(out.glob(".*"))


def test_without_thumbnails_there_are_no_faces(predict: Predict, given: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert predict(given / "day 1", out, "summary=true").status == 0
    assert (out / "zoo.faces.jpg").is_file()
    assert "1 done before" in predict(given / "day 1", out, "thumbnails=false").out
    assert not (out / "zoo.faces.jpg").exists()
    page = (out / "index.html").read_text()
    assert "No faces are shown" in page
    assert "<img" not in page


@pytest.mark.parametrize(
    "name", ["summary.csv", "cooccurrence.csv", "index.html", "summary.json", "day 1/zoo.events.csv"]
)
def test_a_users_own_file_is_refused_before_the_work(predict: Predict, given: Path, tmp_path: Path, name: str) -> None:
    out = tmp_path / "out"
    (out / name).parent.mkdir(parents=True)
    (out / name).write_text("mine")
    outcome = predict(given, out)
    assert (outcome.status, outcome.out) == (2, "")
    assert f"{out / name}: there already, and not as aulight wrote it" in outcome.err
    assert [path for path in out.rglob("*") if path.is_file()] == [out / name]
    if "events" not in name:
        assert "or summary=false" in outcome.err
        assert predict(given / "day 1", out, "summary=false").status == 0
        assert (out / name).read_text() == "mine"


def test_what_a_user_has_changed_in_the_summary_is_the_users(predict: Predict, given: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert predict(given / "day 1", out, "summary=true").status == 0
    (out / "summary.csv").write_text("mine")
    before = _state(out)
    assert predict(given / "day 1", out, "coverage=0.8").status == 2
    assert _state(out) == before


@pytest.mark.parametrize(
    ("first", "second", "line"),
    [
        ("summary.mp4", "b.mp4", "a video is called summary, as the table over all of them; rename it"),
        ("clip.mp4", "clip.events.mp4", "the events of clip would be called as the table of clip.events; rename one"),
    ],
)
def test_names_that_would_lie_over_each_other_are_refused(
    predict: Predict, clips: list[Path], tmp_path: Path, first: str, second: str, line: str
) -> None:
    (tmp_path / "given").mkdir()
    for name in (first, second):
        shutil.copyfile(clips[0], tmp_path / "given" / name)
    outcome = predict(tmp_path / "given", tmp_path / "out")
    assert (outcome.status, line in outcome.err) == (2, True)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_from_a_persons_rest_over_the_film(predict: Predict, clips: list[Path], tmp_path: Path, kind: str) -> None:
    """Oracle: numpy's quantile of the whole film, of a trained model, whose intervals move along."""
    plain, rest = tmp_path / "plain", tmp_path / "rest"
    assert predict(clips[0], plain, f"format={kind}").status == 0
    outcome = predict(clips[0], rest, f"format={kind}", "baseline=person")
    assert "the lowest tenth of the whole film" in outcome.out
    name = f"{clips[0].stem}.{kind}"
    before, after = _read(plain / name), _read(rest / name)
    note = json.loads((rest / f"{clips[0].stem}.json").read_text())
    taken = note["after"]["rest"]["0"]
    assert note["settings"]["baseline"] == "person"
    for au in AUS:
        lowest = np.quantile(before[f"{au}_r"], 0.1, method="inverted_cdf")
        assert taken[au] == pytest.approx(lowest, abs=0.0011)
        for column in (f"{au}_r", f"{au}_lo", f"{au}_hi"):
            if column in before:
                expected = np.clip(before[column] - taken[au], 0, 5)
                np.testing.assert_allclose(after[column], expected, rtol=0, atol=2e-6)
    assert max(taken.values()) > 0.1, "there is something to take away"
    pd.testing.assert_frame_equal(before.iloc[:, :5], after.iloc[:, :5])
    assert list(before.dtypes) == list(after.dtypes)
    assert "1 done before" in predict(clips[0], rest, f"format={kind}", "baseline=person").out
    assert "done before" not in predict(clips[0], rest, f"format={kind}").out


def test_parts_of_videos_have_faces_at_their_moments(predict: Predict, given: Path, tmp_path: Path) -> None:
    """Oracle: the table's row of each moment, whose frames are those of the whole video."""
    out = tmp_path / "out"
    outcome = predict(given / "day 1", out, "summary=true", "start=0.4", "every=2")
    assert outcome.status == 0, outcome.err
    table = pd.read_csv(out / "zoo.csv").set_index("frame")
    moments = json.loads((out / "zoo.json").read_text())["after"]["moments"]
    assert moments
    for moment in moments:
        row = table.loc[moment["frame"]]
        assert row["timestamp"] == pytest.approx(moment["seconds"], abs=1e-3)
        assert row[f"{moment['au']}_r"] == pytest.approx(moment["value"], abs=0.006)


def test_elan_reads_the_events(predict: Predict, given: Path, tmp_path: Path) -> None:
    """Oracles: pympi's reader, and by hand what EAF's schema asks for."""
    elan = pytest.importorskip("pympi.Elan")
    out, video = tmp_path / "out", given / "day 1" / "zoo.mp4"
    assert predict(given / "day 1", out, "elan=true").status == 0
    events: Any = pd.read_csv(out / "zoo.events.csv")
    read = elan.Eaf(str(out / "zoo.eaf"))
    assert sorted(read.get_tier_names()) == AUS
    for au in AUS:
        mine = events[events["au"] == au]
        found = [(begin, end, value) for begin, end, value in read.get_annotation_data_for_tier(au)]
        assert [(round(1000 * e.onset), round(1000 * e.offset), f"{e.peak:.2f}") for e in mine.itertuples()] == found
    root = etree.parse(out / "zoo.eaf").getroot()
    assert [child.tag for child in root][:3] == ["HEADER", "TIME_ORDER", "TIER"]
    (media,) = root.findall("HEADER/MEDIA_DESCRIPTOR")
    assert media.get("MIME_TYPE") == "video/mp4"
    assert (out / media.attrib["RELATIVE_MEDIA_URL"]).resolve() == video.resolve()
    assert root.find("HEADER").get("TIME_UNITS") == "milliseconds"  # type: ignore[union-attr]
    slots = {slot.attrib["TIME_SLOT_ID"]: int(slot.attrib["TIME_VALUE"]) for slot in root.iter("TIME_SLOT")}
    types = {kind.attrib["LINGUISTIC_TYPE_ID"] for kind in root.iter("LINGUISTIC_TYPE")}
    ids = [note.attrib["ANNOTATION_ID"] for note in root.iter("ALIGNABLE_ANNOTATION")]
    assert len(ids) == len(set(ids)) == len(events)
    for tier in root.iter("TIER"):
        assert tier.attrib["LINGUISTIC_TYPE_REF"] in types
        times = [
            (slots[note.attrib["TIME_SLOT_REF1"]], slots[note.attrib["TIME_SLOT_REF2"]])
            for note in tier.iter("ALIGNABLE_ANNOTATION")
        ]
        assert all(begin < end for begin, end in times)
        assert all(one[1] <= other[0] for one, other in pairwise(times))


def test_photos_have_no_events(predict: Predict, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    for number in range(3):
        noise = np.random.default_rng(number).integers(0, 256, (64, 64, 3), dtype=np.uint8)
        cv2.imwrite(str(photos / f"{number}.bmp"), noise)
    out = tmp_path / "out"
    outcome = predict(photos, out, "pictures=photos", "summary=true", "baseline=person")
    assert outcome.status == 0, outcome.err
    assert "photos are scored as they are: baseline=person is for films" in outcome.out
    assert not (out / "photos.events.csv").exists()
    row: Any = next(pd.read_csv(out / "summary.csv").itertuples())
    table = pd.read_csv(out / "photos.csv")
    assert row.frames == 3
    assert row.AU12_mean == pytest.approx(table["AU12_r"].mean(), abs=1e-4)
    assert np.isnan(row.AU12_share)


def test_people_who_are_not_summed_up_are_told_of(
    predict: Predict, clips: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if none were kept of the one that there is: also in the record, so that the next run says it as well."""
    monkeypatch.setattr("aulight.prediction.after.make.MOST_PEOPLE", 0)
    outcome = predict(clips[0], tmp_path, "baseline=person", "summary=false")
    assert outcome.status == 0, outcome.err
    assert f"{clips[0]}: 1 people; of the 500 seen longest numbers are summed up" in outcome.out
    record = json.loads((tmp_path / f"{clips[0].stem}.json").read_text())
    assert (record["after"]["people"], record["after"]["more_people"]) == ([], 1)
    assert not record["after"].get("rest")
    assert "1 people; of the 500" in predict(clips[0], tmp_path, "baseline=person", "summary=false").out
