"""Looks of arms: each known one has its own, on light pages and dark ones. Oracle: the list of names."""

from aulight.drawing.names import ARMS
from aulight.drawing.style import _DARK, all_looks, looks_of


def test_every_known_arm_keeps_a_look_of_its_own() -> None:
    alone = {arm: looks_of([arm])[arm] for arm in ARMS}
    others = [f"mine {number}" for number in range(6)]  # as many as experiment=tries has
    together = looks_of([*ARMS, *others])
    assert {arm: together[arm] for arm in ARMS} == alone
    for part in ("color", "marker", "linestyle"):
        assert len({str(look[part]) for look in together.values()}) == len(ARMS) + len(others)


def test_every_colour_is_known_on_a_dark_page() -> None:
    dark = [_DARK[look["color"].lower()] for look in all_looks()]
    assert len(set(dark)) == len(dark)
