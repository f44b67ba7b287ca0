"""The AU sets of the datasets."""

from aulight import datasets, facs


def test_every_coded_unit_has_a_name_and_sorts_as_its_column() -> None:
    for aus in (datasets.DISFA_AUS, datasets.BP4D_AUS):
        assert set(aus) <= set(facs.AU_NAMES)
        columns = [facs.column(au) for au in aus]
        assert columns == sorted(set(columns))
    assert facs.column(4) == "AU04"
