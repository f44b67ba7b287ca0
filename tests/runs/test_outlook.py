"""What a sweep tells its jobs of how much there is to do."""

import multiprocessing

from aulight.runs.outlook import Outlook


def test_one_job_of_a_sweep_knows_it_and_nobody_after_it() -> None:
    outlook = Outlook("seed0", 12, 4800.5)
    with outlook.known(), multiprocessing.get_context("spawn").Pool(1) as jobs:
        assert jobs.map(Outlook.of, ["seed0", "seed1"]) == [outlook, None]
    assert Outlook.of("seed0") is None
