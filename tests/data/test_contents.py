"""By what videos are known again: all that is noted of each, whatever is noted of the others."""

import pandas as pd
import pytest

from aulight.data.contents import shown
from aulight.data.store import PreparedDataset
from aulight.datasets import DIGITS


@pytest.mark.parametrize("kind", ["object", "str"])
def test_what_is_noted_of_one_video_counts_where_another_has_nothing(kind: str, faces: PreparedDataset) -> None:
    """In a column of texts, or of objects, as pandas 2 reads it; oracle: each text by itself."""
    noted = [None, "0123456789abcdef" * 4, None]
    faces.videos = faces.videos.assign(source_sha256=pd.Series(noted, dtype=kind))
    contents = shown(faces).contents
    files = faces.videos["file_sha256"]
    for row, (source, file) in enumerate(zip(noted, files, strict=True)):
        expected = {(source or "")[:DIGITS].encode(), b"", file[:DIGITS].encode()}
        assert set(contents[row].tolist()) == expected
