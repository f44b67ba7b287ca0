import numpy as np
import pandas as pd
import pytest

from aulight.drawing.expressive import best_stretch, most_expressive


def test_the_stretch_is_the_best_of_all() -> None:
    strength = np.random.default_rng(0).uniform(size=50)
    table = pd.DataFrame({"a": strength})
    best = max(range(44), key=lambda start: strength[start : start + 7].sum())
    assert best_stretch(table, ["a"], 7) == slice(best, best + 7)
    assert best_stretch(table, ["a"], 100) == slice(0, 50)
    assert best_stretch(table, ["a"], 0) == slice(int(strength.argmax()), int(strength.argmax()) + 1)


def test_unknown_labels_count_for_nothing() -> None:
    table = pd.DataFrame({"a": [np.nan, 5, np.nan, 2, 2], "b": [np.nan, 1, np.nan, 4, 2]})
    assert best_stretch(table, ["a", "b"], 2) == slice(3, 5)  # 3 and 2, against 3 and nothing
    assert best_stretch(table, ["a", "b"], 1) == slice(1, 2)


def test_videos_by_their_mean_label() -> None:
    """Oracle: the means by hand, over the known AUs of a frame and then over the known frames of a video."""
    table = pd.DataFrame(
        {
            "subject": ["s", "s", "s", "t", "t", "u"],
            "video_id": ["1", "1", "2", "3", "3", "4"],
            "a": pd.array([4, None, 3, 5, 0, None], dtype="Int8"),
            "b": pd.array([2, None, None, 5, 0, None], dtype="Int8"),
        }
    )
    ranked = most_expressive(table, ["a", "b"])
    means = {"1": 3.0, "2": 3.0, "3": 2.5}
    assert [means.get(video) for video in ranked["video_id"]] == pytest.approx([3.0, 3.0, 2.5, None])
    best = ranked.drop_duplicates("subject")
    assert best["subject"].tolist() == ["s", "t", "u"]
    assert list(ranked.columns) == ["subject", "video_id"]
