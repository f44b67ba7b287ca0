"""People told apart by where their faces are, in places made by hand."""

import numpy as np

from aulight.data.faces.people import People
from aulight.data.faces.pose import Array


def seen(*places: float, side: float = 100.0) -> list[Array]:
    """Faces beside each other."""
    return [np.array([100 * place, 0.0, np.log(side), 0.0]) for place in places]


def test_people_keep_their_numbers_whatever_order_they_are_found_in() -> None:
    people = People()
    assert people.name(seen(0, 2), 0.0) == [0, 1]
    assert people.name(seen(2.1, 0.1), 0.04) == [1, 0]
    assert people.name(seen(2.1, 0.2, 5), 0.08) == [1, 0, 2]
    assert people.name([], 0.12) == []
    assert people.name(seen(5, 0.2), 0.16) == [2, 0]


def test_who_was_not_seen_for_longest_is_forgotten() -> None:
    people = People(most=2)
    assert people.name(seen(0, 10, 20), 0.0) == [0, 1, 2]
    assert people.name(seen(0.1), 0.04) == [3]
    assert people.name(seen(0.1, 20), 0.08) == [3, 2]


def test_somebody_who_was_seen_beside_another_is_never_taken_for_them() -> None:
    people = People()
    assert people.name(seen(0, 2), 0.0) == [0, 1]
    for step in range(1, 100):  # 0 is hidden, 1 walks to where they were
        assert people.name(seen(2 - min(2, step / 20)), step * 0.04) == [1]
    assert people.name([], 4.0) == []
    assert people.name(seen(0.02), 4.04) == [1]


def test_somebody_who_could_be_either_of_two_is_neither() -> None:
    people = People()
    assert people.name(seen(0, 2), 0.0) == [0, 1]
    assert people.name(seen(1.05), 3.0) == [2]
    people = People()
    people.name(seen(0, 2), 0.0)
    assert people.name(seen(0.1), 3.0) == [0], "much nearer to one"
    assert people.name(seen(0.1, 2.1), 3.04) == [0, 1]


def test_somebody_who_could_be_any_of_three_is_none_of_them() -> None:
    people = People()
    assert people.name(seen(0, 2, 4), 0.0) == [0, 1, 2]
    assert people.name(seen(2.9), 5.0) == [3]
    assert people.name(seen(2.9, 0), 5.04) == [3, 0]


def test_nobody_comes_back_farther_away_than_they_can_have_moved() -> None:
    people = People()
    assert people.name(seen(0), 0.0) == [0]
    assert people.name(seen(4), 0.2) == [1]
    people = People()
    people.name(seen(0), 0.0)
    assert people.name(seen(4), 2.0) == [0]
    people = People()
    people.name(seen(0), 0.0)
    assert people.name(seen(0, side=30.0), 0.2) == [1], "nor of another size"
