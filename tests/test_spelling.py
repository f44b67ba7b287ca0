"""Which spellings are one name."""

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aulight.spelling import ambiguous, clean, exactly, fold

E_ACUTE, E_AND_ACCENT = "\u00e9", "e\u0301"
ONE_NAME = {
    "P1": [
        "p1",
        " P1",
        "P1 ",
        "\tP1\n",
        "\u200bP1",
        "P\u200d1",
        "\ufeffP1",
        "P1\u00a0",
        "\uff30\uff11",
        "P\u00ad1",
        "\u202eP1",
    ],
    f"{E_ACUTE}1": [f"{E_AND_ACCENT}1", "\u00c91", "E\u03011", f" {E_AND_ACCENT}\u200b1"],
    "Anna  B": ["anna b", "ANNA\u00a0B", "Anna\u2003 B"],
    "Stra\u00dfe": ["STRASSE", "stra\u1e9ee"],
    "\u60a3\u80051": ["\u60a3\u8005\uff11"],
    "\uac00": ["\u1100\u1161"],
}
OTHERS = ["P01", "P 1", "P-1", "P_1", "P10", "Q1", "e1", "\u60a3\u80052"]


@pytest.mark.parametrize("name", ONE_NAME)
def test_spellings_of_a_name_fold_alike_and_others_do_not(name: str) -> None:
    assert {fold(spelling) for spelling in ONE_NAME[name]} == {fold(name)}
    everybody = [*ONE_NAME, *OTHERS]
    assert len({fold(other) for other in everybody}) == len(everybody)


def test_a_clean_name_keeps_its_case() -> None:
    assert clean(f" \u200b\ufeffAnna\u00a0\u00a0{E_AND_ACCENT} \t") == f"Anna {E_ACUTE}"
    assert clean("\u200b ") == ""


@settings(max_examples=500, deadline=None)
@given(st.text())
def test_folding_twice_is_folding_once_and_no_form_or_case_of_letters_changes_it(name: str) -> None:
    assert fold(fold(name)) == fold(clean(name)) == fold(name)
    assert clean(clean(name)) == clean(name)
    for form in ("NFC", "NFD", "NFKC", "NFKD"):
        assert fold(unicodedata.normalize(form, name)) == fold(name)
    assert fold(f"\u200b {name}\u00a0") == fold(name)
    assert fold(name.casefold()) == fold(name)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.text("aA1 \u200b", max_size=3)))
def test_groups_of_spellings_are_those_of_a_slow_loop(names: list[str]) -> None:
    twice = {name for name in names for other in names if name != other and fold(name) == fold(other)}
    groups = ambiguous(names)
    assert {name for group in groups for name in group} == twice
    assert all(len({fold(name) for name in group}) == 1 and len(group) > 1 for group in groups)


def test_spellings_that_look_alike_are_shown_apart() -> None:
    assert exactly("P1") == "'P1'"
    assert len({exactly(name) for name in (E_ACUTE, E_AND_ACCENT, f"{E_ACUTE} ")}) == 3
