"""Tables in groups of rows: what was written comes back, in few groups, and no group is read twice."""

import itertools
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aulight.data import row_groups
from aulight.data.row_groups import GroupWriter, stretches


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> int:
    """Rows of a group, few enough for a test."""
    monkeypatch.setattr(row_groups, "ROWS", 10)
    monkeypatch.setattr(row_groups, "SMALL", 4)
    return 10


def _write(path: Path, lengths: list[int]) -> list[list[int]]:
    """Numbered rows in tables of these lengths; the numbers of each."""
    stops = np.cumsum([0, *lengths])
    parts = [list(range(start, stop)) for start, stop in itertools.pairwise(stops)]
    writer = GroupWriter(path)
    for part in parts:
        writer.add(pa.table({"row": pa.array(part, pa.int64()), "text": pa.array(map(str, part), pa.string())}))
    writer.close()
    return parts


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lengths=st.lists(st.integers(0, 25), min_size=1, max_size=30), data=st.data())
def test_all_rows_come_back_in_full_groups_and_in_any_stretches(
    tmp_path: Path, small: int, lengths: list[int], data: st.DataObject
) -> None:
    parts = _write(tmp_path / "t.parquet", lengths)
    total = sum(lengths)
    table = pq.read_table(tmp_path / "t.parquet")
    assert table["row"].to_pylist() == list(range(total))
    assert table["text"].to_pylist() == list(map(str, range(total)))
    reads = Counter[int]()

    class Counting(pq.ParquetFile):  # type: ignore[misc]  # pyarrow has no types
        def read_row_group(self, i: int, **kwargs: object) -> pa.Table:
            reads[i] += 1
            return super().read_row_group(i, **kwargs)

    with Counting(tmp_path / "t.parquet") as file:
        sizes = [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)]
        assert sizes == [small] * (total // small) + [total % small] * (total % small > 0)
        starts = np.cumsum([0, *lengths]).tolist()
        wanted = [range(start, stop) for start, stop in itertools.pairwise(starts)]
        assert [found["row"].to_pylist() for found in stretches(file, wanted, ["row"])] == parts
        assert reads == Counter(range(len(sizes))), "each once"
        order = data.draw(st.permutations(range(len(parts))))
        mixed = stretches(file, [wanted[part] for part in order], ["text"])
        assert [found["text"].to_pylist() for found in mixed] == [list(map(str, parts[part])) for part in order]


def test_tables_of_other_columns_do_not_go_together(tmp_path: Path) -> None:
    assert not GroupWriter(tmp_path / "t.parquet").begun
    writer = GroupWriter(tmp_path / "t.parquet")
    writer.add(pa.table({"a": pa.array([], pa.int64())}))
    assert writer.begun
    writer.add(pa.table({"a": pa.array([1], pa.int8())}))
    with pytest.raises(ValueError, match="names"):
        writer.add(pa.table({"b": [1]}))
    writer.close()
    assert pq.read_table(tmp_path / "t.parquet").to_pydict() == {"a": [1]}
