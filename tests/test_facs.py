"""The columns of AUs, and the numbers they are of."""

import pytest

from aulight import datasets, facs
from aulight.errors import AulightError, printable


def test_every_coded_unit_has_a_name_and_sorts_as_its_column() -> None:
    for aus in (datasets.DISFA_AUS, datasets.BP4D_AUS):
        assert set(aus) <= set(facs.AU_NAMES)
        columns = [facs.column(au) for au in aus]
        assert columns == sorted(set(columns))
    assert facs.column(4) == "AU04"


def test_a_column_and_its_number_are_each_others_inverse() -> None:
    columns = [facs.column(au) for au in range(1, 100)]
    assert [facs.au_of(name) for name in columns] == list(range(1, 100))
    assert all(map(facs.is_column, columns))
    assert (facs.column(12), facs.au_of("AU12"), facs.short_name(4)) == ("AU12", 12, "AU4")


@pytest.mark.parametrize(
    ("written", "au"), [("AU1", 1), ("au01", 1), ("Au45", 45), ("AU12_r", 12), ("AU 6", 6), ("au_06", 6)]
)
def test_columns_are_known_as_people_write_them(written: str, au: int) -> None:
    assert facs.is_column(written)
    assert facs.au_of(written) == au


@pytest.mark.parametrize(
    "name", ["", "AU", "AU0", "AU00", "AU123", "AU12_c", "AU12r", "AU  1", " AU12", "12", "frame", "AU1\n", "AU١"]
)
def test_what_is_no_column_is_refused_by_name(name: str) -> None:
    assert not facs.is_column(name)
    with pytest.raises(AulightError) as caught:
        facs.au_of(name)
    assert str(caught.value) == f"{printable(name)}: not a column of an AU; those are called AU01, AU02 ... AU99"
