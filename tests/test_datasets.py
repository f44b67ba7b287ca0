"""Facts of the datasets, counted against what their publications say."""

from aulight import datasets


def test_disfa_has_its_27_subjects_of_whom_each_is_tested_once() -> None:
    # Mavadati et al. (2013): SN001 to SN032 without five numbers; a fold tests nine
    assert tuple(f"SN{n:03d}" for n in range(1, 33) if n not in (14, 15, 19, 20, 22)) == datasets.DISFA_SUBJECTS
    assert [len(fold) for fold in datasets.DISFA_TESTS] == [9, 9, 9]
    assert len(set().union(*datasets.DISFA_TESTS)) == 27


def test_untracked_frames_are_of_subjects_of_disfa_and_within_their_videos() -> None:
    assert datasets.DISFA_UNTRACKED.keys() <= set(datasets.DISFA_SUBJECTS)
    for ranges in datasets.DISFA_UNTRACKED.values():
        ends = [end for pair in ranges for end in pair]
        assert ends == sorted(ends)
        assert ends[0] >= 1
        assert ends[-1] <= 4845


def test_bp4d_has_41_subjects_of_whom_those_with_even_numbers_are_tested() -> None:
    # Zhang et al. (2014): 23 women and 18 men; Valstar et al. (2015) for the test subjects
    assert len(datasets.BP4D_SUBJECTS) == 41
    ((*tested,),) = datasets.BP4D_TESTS
    assert tested == [f"F{n:03d}" for n in range(2, 24, 2)] + [f"M{n:03d}" for n in range(2, 19, 2)]
    assert set(datasets.BP4D_PLUS_TASKS) < set(datasets.BP4D_TASKS)
