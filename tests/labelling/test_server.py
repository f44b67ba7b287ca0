"""The real server on loopback: what it gives to whom, what it keeps, and the way of labels into the dataset."""

import os
import signal
import socket
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pandas as pd
import pytest
import yaml

from aulight.data.store import PreparedDataset
from aulight.labelling.store import FILE

from .conftest import Served

Label = Callable[..., Served]
Command = Callable[..., Any]
Decode = Callable[..., list[tuple[int, int]]]

DRAW = ("label_count=20", "aus=[1,12]", "seed=3")


def code(served: Served, what: Callable[[str, int, int], Any]) -> int:
    """Scores all that the coder has to score; how much that was."""
    state = served.get("api/state")[1]
    for frame in state["frames"]:
        for au in state["aus"]:
            status, answer, _ = served.score(
                frame["video"], frame["frame"], au["au"], what(frame["video"], frame["frame"], au["au"])
            )
            assert status == 200, answer
    return len(state["frames"])


# ---- who gets what ----------------------------------------------------------------------------------------------


def test_only_this_machine_and_who_knows_the_token(label: Label) -> None:
    served = label(*DRAW)
    place = urlsplit(served.address)
    assert place.hostname == "127.0.0.1"
    assert len(place.path) > 30
    status, page, headers = served.get("")
    assert (status, b"<main" in page) == (200, True)
    assert "default-src 'none'" in headers["content-security-policy"]
    assert headers["referrer-policy"] == "no-referrer"
    other = Served(served.process, f"{place.scheme}://{place.netloc}/", [])
    wrong = place.path[1:-2] + ("A" if place.path[-2] != "A" else "B")
    for path in ("", "api/state", f"{wrong}/api/state", place.path[1:-1], f"{place.path[1:-5]}/api/state"):
        assert other.get(path)[0] == 404, path
    for host in ("evil.example", f"evil.example:{place.port}", "127.0.0.1.evil.example", "192.168.0.1", ""):
        assert served.get("api/state", Host=host)[0] in (400, 421), host
    assert served.get("api/state", Host=f"localhost:{place.port}")[0] == 200
    body = {"id": "12345678"}
    assert served.post("api/undo", body, Origin="http://evil.example")[0] == 421
    assert served.post("api/undo", body, Origin=f"http://{place.netloc}")[0] == 200
    with socket.socket() as elsewhere:  # another address of this machine
        assert elsewhere.connect_ex(("127.0.0.2", place.port or 0)) != 0


@pytest.mark.parametrize(
    "path",
    [
        "../to_label.csv", "%2e%2e/%2e%2e/etc/passwd", "..%2f..%2fetc%2fpasswd", "/etc/passwd", "labels.sqlite",
        "to_label.csv", "label.py", "still/../../etc/passwd", "still/0/%2e%2e.png", "still/0/-1.png", "still/0/40.png",
        "still/3/0.png", "still/99/0.png", "clip/0/39999.mp4", "page.html%00", "api/rest/77", "api", "still/0/0",
    ],
)  # fmt: skip
def test_no_other_file_can_be_read(running: Served, path: str) -> None:
    status, content, _ = running.get(path)
    assert status == 404, content


@pytest.fixture(scope="module")
def running(prepared: PreparedDataset, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A server that tests only ask."""
    import subprocess
    import sys

    folder = tmp_path_factory.mktemp("running")
    command = [sys.executable, "-m", "aulight", "label", f"data.root={prepared.root}", "data.name=mine", *DRAW]
    process = subprocess.Popen([*command, "browser=false"], stdout=subprocess.PIPE, text=True, cwd=folder)
    assert process.stdout is not None
    address = next(line.split()[-1] for line in process.stdout if line.startswith("The page"))
    yield Served(process, address, [])
    process.send_signal(signal.SIGINT)
    process.communicate()
    assert process.returncode == 0


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("api/score", {}), ("api/score", []), ("api/score", "x"), ("api/undo", {"id": "short"}),
        ("api/rest", {"row": "0", "place": 1}), ("api/look", {"order": "au"}), ("api/undo", {"id": "x" * 20_000}),
    ],
)  # fmt: skip
def test_what_the_page_does_not_send_is_refused(running: Served, path: str, body: Any) -> None:
    assert running.post(path, body)[0] in (400, 413)


@pytest.mark.parametrize(
    "wrong", [{"score": 6}, {"score": -1}, {"score": "B"}, {"au": 4}, {"frame": 777}, {"video": "x"}]
)
def test_what_is_not_to_be_scored_is_refused(running: Served, wrong: dict[str, Any]) -> None:
    frame = running.get("api/state")[1]["frames"][0]
    scored = {"video": frame["video"], "frame": frame["frame"], "au": 1, "score": 3} | wrong
    assert running.score(**scored)[0] == 404
    assert running.get("api/state")[1]["scores"] == [{}] * 20


def test_pictures_are_those_of_the_frames(running: Served, prepared: PreparedDataset, decode: Decode) -> None:
    import cv2
    import numpy as np

    for frame in running.get("api/state")[1]["frames"][:5]:
        status, content, headers = running.get(f"still/{frame['row']}/{frame['place']}.png")
        assert (status, headers["content-type"]) == (200, "image/png")
        picture = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
        assert picture is not None
        assert decode(picture[None].astype(np.uint8)) == [(frame["row"], frame["place"])]
        table = prepared.frames[prepared.frames["video_id"] == frame["video"]]
        assert table["source_frame"].iat[frame["place"]] == frame["frame"]
        status, content, headers = running.get(f"clip/{frame['row']}/{frame['place']}.mp4")
        assert (status, content[4:8]) == (200, b"ftyp")
        assert len(yaml.safe_load(headers["x-times"])) > int(headers["x-at"])


def test_the_face_at_rest_is_the_coders_own_choice(label: Label) -> None:
    served = label(*DRAW)
    ann = served.get("api/rest/0")[1]
    assert (ann["picked"], ann["subject"]) == (False, "Ann")
    assert [video["video"] for video in ann["videos"]] == ["a", "b b"]
    assert served.get("api/rest/2")[1]["subject"] == "ü"  # nobody is named: the video's own
    picked = served.post("api/rest", {"row": 1, "place": 7})[1]
    assert (picked["row"], picked["place"], picked["picked"]) == (1, 7, True)
    assert served.end()[0] == 0
    again = label()
    assert again.get("api/rest/0")[1] == picked
    assert again.post("api/rest", {"row": 0, "place": None})[1] == ann


# ---- what is kept -----------------------------------------------------------------------------------------------


def test_a_killed_server_loses_nothing_and_is_found_again(label: Label) -> None:
    """At the same address, for pages that are still open; with the dataset of the time before."""
    served = label(*DRAW)
    frames = served.get("api/state")[1]["frames"]
    for place, frame in enumerate(frames[:7]):
        assert served.score(frame["video"], frame["frame"], 1, place % 6)[0] == 200
    os.kill(served.pid, signal.SIGKILL)
    served.process.wait()
    again = label()
    assert again.address == served.address
    state = again.get("api/state")[1]
    assert state["frames"] == frames
    assert state["scores"] == [*({"1": place % 6} for place in range(7)), *({} for _ in frames[7:])]
    assert state["last"] == [frames[6]["video"], frames[6]["frame"], 1]
    assert state["seconds"] == [1.5] * 7


def test_a_sample_knows_its_dataset(label: Label) -> None:
    first = label(*DRAW)
    state = first.get("api/state")[1]
    assert first.end()[0] == 0
    assert label(named=False).get("api/state")[1] == state


def test_ends_cleanly_and_writes_the_table(label: Label, tmp_path: Path) -> None:
    served = label(*DRAW)
    assert code(served, lambda video, frame, au: "?" if au == 1 and frame % 2 else frame % 6) == 20
    status, said = served.end()
    assert status == 0
    assert not any("Traceback" in line for line in said)
    table = pd.read_csv(tmp_path / "to_label/labels.csv")
    drawn = pd.read_csv(tmp_path / "to_label/to_label.csv")
    assert list(table) == ["video", "frame", "AU01", "AU12"]
    assert sorted(zip(table["video"], table["frame"], strict=True)) == sorted(
        zip(drawn["video"], drawn["frame"], strict=True)
    )
    assert (table["AU12"] == table["frame"] % 6).all()
    assert (table["AU01"].isna() == (table["frame"] % 2 == 1)).all()
    by = pd.read_csv(tmp_path / "to_label/labels.coders.csv", dtype=str)
    assert len(by) == 40
    assert set(by["coder"]) == {"coder1"}
    assert set(by["seconds"]) == {"1.50"}
    assert set(by.loc[by["au"] == "AU01", "score"]) == {"?", "0", "2", "4"}
    assert pd.to_datetime(by["when"]).is_monotonic_increasing


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_either_signal_ends_it_well(label: Label, tmp_path: Path, number: int) -> None:
    served = label(*DRAW)
    frame = served.get("api/state")[1]["frames"][0]
    served.score(frame["video"], frame["frame"], 12, 4)
    assert served.end(number)[0] == 0
    assert pd.read_csv(tmp_path / "to_label/labels.csv")["AU12"].tolist() == [4]


def test_two_windows_of_a_coder(label: Label) -> None:
    """Both servers of one coder, as after opening twice: each sees what the other keeps."""
    one, other = label(*DRAW), label()
    assert one.address != other.address
    frame = one.get("api/state")[1]["frames"][0]
    assert one.score(frame["video"], frame["frame"], 1, 2)[1] == {"done": 1}
    assert other.score(frame["video"], frame["frame"], 12, 5)[1] == {"done": 2}
    assert one.get("api/state")[1]["scores"] == other.get("api/state")[1]["scores"]
    assert one.post("api/undo", {"id": "undo-it-now"})[1] == {
        "undone": [frame["video"], frame["frame"], 12],
        "score": None,
    }


# ---- several coders ---------------------------------------------------------------------------------------------


def test_coders_are_blind_to_each_other_until_both_are_done(label: Label, tmp_path: Path) -> None:
    both = [label(*DRAW, "coders=[c1,c2]", "shared=0.4", "coder=c1")]
    both.append(label("coder=c2"))
    states = [served.get("api/state")[1] for served in both]
    mine, theirs = ([(of["video"], of["frame"]) for of in state["frames"]] for state in states)
    shared = set(mine) & set(theirs)
    assert (len(mine), len(theirs), len(shared)) == (14, 14, 8)
    assert [key for key in mine if key in shared] != [key for key in theirs if key in shared]
    alone = next(key for key in theirs if key not in shared)
    assert both[0].score(*alone, 1, 3)[0] == 404

    code(both[0], lambda video, frame, au: frame % 5)
    seen = both[1].get("api/state")[1]
    assert seen == states[1]  # nothing of what the first has scored
    early = label("coder=consensus")
    assert early.get("api/state")[1]["frames"] == []
    code(both[1], lambda video, frame, au: frame % 5 + (au == 12 and frame % 2))
    late = early.get("api/state")[1]
    assert {(of["video"], of["frame"]) for of in late["frames"]} == shared
    apart = [abs(of["said"]["12"]["c1"] - of["said"]["12"]["c2"]) for of in late["frames"]]
    assert apart == sorted(apart, reverse=True)
    assert [of["frame"] % 2 for of in late["frames"]] == apart
    odd = [of for of in late["frames"] if of["frame"] % 2]
    assert odd
    for served in both:
        assert served.end()[0] == 0
    table = pd.read_csv(tmp_path / "to_label/labels.csv").set_index(["video", "frame"])
    assert len(table) == 20
    left = table["AU12"].isna()
    assert set(table.index[left]) == {(of["video"], of["frame"]) for of in odd}  # they differ there, and are left empty
    for of in odd:
        assert early.score(of["video"], of["frame"], 12, 5)[0] == 200
    said = early.end()[1]
    assert not any("differ" in line for line in said)
    table = pd.read_csv(tmp_path / "to_label/labels.csv").set_index(["video", "frame"])
    assert (table.loc[left, "AU12"] == 5).all()
    assert table["AU12"].notna().all()


def test_a_second_coder_gets_what_is_shared(label: Label) -> None:
    first = label(*DRAW)
    assert len(first.get("api/state")[1]["frames"]) == 20
    assert len(label("coder=c2").get("api/state")[1]["frames"]) == 4


# ---- what is refused, in one line -------------------------------------------------------------------------------


@pytest.fixture
def sampled(aulight: Command, prepared: PreparedDataset, tmp_path: Path) -> list[str]:
    """Settings of a sample that ``aulight sample`` made."""
    done = aulight("sample", f"data.root={prepared.root}", *DRAW, f"output={tmp_path / 'drawn'}")
    assert done.status == 0, done.err
    return [f"data.root={prepared.root}", f"sample={tmp_path / 'drawn'}", "browser=false"]


@pytest.mark.parametrize(
    ("settings", "parts"),
    [
        (["label_count=300"], ["label_count=300", "has 20 frames", "another sample="]),
        (["aus=[1,2]"], ["aus=[1,2]", "is for [1,12]"]),
        (["spread=people"], ["spread=people", "drawn, with spread=frames", "another sample="]),
        (["min_distance_s=2"], ["min_distance_s=2", "with min_distance_s=null", "leave it out"]),
        (["coder=consensus"], ["coder=consensus", "nobody has coded"]),
        (["coders=[c1,consensus]"], ["coders=", "consensus is what coders agree on"]),
        (["coders=[c1,c1]"], ["coders=", "each name once"]),
        (["shared=2"], ["shared=2", "at most 1"]),
        (["coder=c2", "coders=[c1]", "shared=0"], ["coder=c2", "coders=[c1,c2]"]),
        (["port=1"], ["port=1", "cannot be used"]),
    ],
    ids=lambda value: " ".join(value),
)
def test_mistakes_are_said(aulight: Command, sampled: list[str], settings: list[str], parts: list[str]) -> None:
    if settings == ["port=1"] and os.geteuid() == 0:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            outcome = aulight("label", *sampled, f"port={port}")
            parts = [f"port={port}", "cannot be used"]
    else:
        outcome = aulight("label", *sampled, *settings)
    assert outcome.status == 2
    assert len(outcome.err.splitlines()) == 1
    for part in parts:
        assert part in outcome.err


def test_an_older_sample_goes_on_with_its_own_draw(aulight: Command, sampled: list[str], tmp_path: Path) -> None:
    """One that does not say how it was drawn: it is opened as it is, and no way of drawing can be asked of it."""
    (tmp_path / "drawn/sample.yaml").unlink()
    before = (tmp_path / "drawn/to_label.csv").read_bytes()
    outcome = aulight("label", *sampled, "spread=people")
    assert (outcome.status, len(outcome.err.splitlines())) == (2, 1)
    assert "drawn, and no sample.yaml says how" in outcome.err
    with socket.socket() as taken:  # all but the page itself
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        outcome = aulight("label", *sampled, f"port={taken.getsockname()[1]}")
    assert "coder1: 20 frames" in outcome.out
    assert (tmp_path / "drawn/to_label.csv").read_bytes() == before


def test_a_sample_is_drawn_as_sample_draws_it(aulight: Command, prepared: PreparedDataset, tmp_path: Path) -> None:
    """Oracle: ``aulight sample`` with the same settings, byte by byte."""
    how = [f"data.root={prepared.root}", *DRAW, "spread=people", "min_distance_s=0.1"]
    done = aulight("sample", *how, f"output={tmp_path / 'drawn'}")
    assert "20 frames of 3 videos and 2 people" in done.out
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        outcome = aulight("label", *how, f"sample={tmp_path / 'made'}", "browser=false", f"port={port}")
    assert "20 frames of 2 people were drawn" in outcome.out
    for name in ("to_label.csv", "sample.yaml", "contact_sheet_01.png"):
        assert (tmp_path / "made" / name).read_bytes() == (tmp_path / "drawn" / name).read_bytes()
    people = pd.read_csv(tmp_path / "made/to_label.csv")["video"].map({"a": "Ann", "b b": "Ann"}).fillna("ü")
    assert people.value_counts().to_dict() == {"Ann": 10, "ü": 10}


def test_a_table_of_the_users_own_is_not_written_over(
    aulight: Command, sampled: list[str], label: Label, tmp_path: Path
) -> None:
    (tmp_path / "drawn/labels.csv").write_text("mine")
    outcome = aulight("label", *sampled)
    assert (outcome.status, "labels.csv: there already" in outcome.err) == (2, True)
    assert (tmp_path / "drawn/labels.csv").read_text() == "mine"
    served = label(f"output={tmp_path / 'other.csv'}", sample="drawn")
    frame = served.get("api/state")[1]["frames"][0]
    for score in (1, 2):  # its own is written anew, as often as one likes
        served.score(frame["video"], frame["frame"], 1, score)
        assert served.post("api/export", {})[0] == 200
        assert pd.read_csv(tmp_path / "other.csv")["AU01"].tolist() == [score]
    (tmp_path / "other.csv").write_text("changed by hand")
    status, answer, _ = served.post("api/export", {})
    assert (status, "other.csv: there already" in answer["error"]) == (404, True)
    assert (tmp_path / "other.csv").read_text() == "changed by hand"


def test_a_folder_that_was_moved_goes_on(label: Label, tmp_path: Path) -> None:
    """Its tables are still known as its own, and are written anew."""
    served = label(*DRAW)
    frame = served.get("api/state")[1]["frames"][0]
    served.score(frame["video"], frame["frame"], 12, 4)
    assert served.end()[0] == 0
    (tmp_path / "to_label").rename(tmp_path / "elsewhere")
    again = label(sample="elsewhere", named=False)
    again.score(frame["video"], frame["frame"], 12, 5)
    assert again.end()[0] == 0
    assert pd.read_csv(tmp_path / "elsewhere/labels.csv")["AU12"].tolist() == [5]


def test_a_file_of_scores_that_cannot_be_used_is_said(aulight: Command, sampled: list[str], tmp_path: Path) -> None:
    (tmp_path / "drawn" / FILE).mkdir()
    outcome = aulight("label", *sampled)
    assert (outcome.status, len(outcome.err.splitlines())) == (2, 1)
    assert f"{FILE}: cannot be used (unable to open database file)" in outcome.err


def test_another_dataset_is_refused(aulight: Command, sampled: list[str], smoke_data: Path) -> None:
    outcome = aulight("label", *sampled[1:], f"data.root={smoke_data}")
    assert outcome.status == 2
    assert "row 2: frame" in outcome.err
    assert f"is not in {smoke_data}" in outcome.err


def test_what_is_filled_in_already_counts(label: Label, sampled: list[str], tmp_path: Path) -> None:
    path = tmp_path / "drawn/to_label.csv"
    table = pd.read_csv(path)
    table.loc[2, ["AU01", "AU12"]] = 4
    table.loc[5, "AU12"] = 0
    table = table.astype({"AU01": object})
    table.loc[5, "AU01"], table.loc[6, "AU01"] = "?", "NA"  # unknown, as for prepare
    table.to_csv(path, index=False)
    before = path.read_bytes()
    served = label("coder=c1", sample="drawn")
    assert any("filled in for 2 frames counts as of c1" in line for line in served.said)
    state = served.get("api/state")[1]
    found = {(of["video"], of["frame"]): scores for of, scores in zip(state["frames"], state["scores"], strict=True)}
    keys = list(zip(table["video"], table["frame"], strict=True))
    assert {key: scores for key, scores in found.items() if scores} == {keys[2]: {"1": 4, "12": 4}, keys[5]: {"12": 0}}
    assert served.end()[0] == 0
    assert path.read_bytes() == before


# ---- into the dataset -------------------------------------------------------------------------------------------


def test_the_table_is_what_prepare_takes(
    aulight: Command, label: Label, coded: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from aulight.data.video.write import write_video

    monkeypatch.chdir(tmp_path)
    (tmp_path / "raw").mkdir()
    for number, name in enumerate(("x", "y")):
        write_video(tmp_path / f"raw/{name}.mp4", coded(number, 30), 25)
    step = ["prepare", "data.source=raw", f"data.root={tmp_path / 'mine'}", "data.name=mine", "workers=1"]
    assert aulight(*step, "data.faces=none", "crop_size=64").status == 0
    served = label(f"data.root={tmp_path / 'mine'}", "label_count=12", "aus=[1,12]", "coder=c1")
    code(served, lambda video, frame, au: "?" if frame % 7 == 0 and au == 1 else (frame + au) % 6)
    status, said = served.end()
    assert status == 0
    assert f"labels={tmp_path / 'to_label/labels.csv'}" in said[-1]
    done = aulight(*step, f"labels={tmp_path / 'to_label/labels.csv'}")
    assert done.status == 0, done.err
    labels = PreparedDataset(tmp_path / "mine").labels
    assert len(labels) == 12
    for _, row in labels.iterrows():
        expected = {au: (row["frame"] + au) % 6 for au in (1, 12)}
        assert row["AU12"] == expected[12]
        assert pd.isna(row["AU01"]) if row["frame"] % 7 == 0 else row["AU01"] == expected[1]


def test_the_store_stays_whole(label: Label, tmp_path: Path) -> None:
    served = label(*DRAW)
    code(served, lambda video, frame, au: 2)
    os.kill(served.pid, signal.SIGKILL)
    served.process.wait()
    with sqlite3.connect(tmp_path / "to_label" / FILE) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert connection.execute("SELECT count(*) FROM strokes").fetchone() == (40,)
