"""Datasets as commands open them."""

import subprocess
import sys
from pathlib import Path

from aulight.data.store import PreparedDataset
from tests.data.formats import members

OPEN = (
    "import sys, pathlib\n"
    "from aulight.data.opening import open_data\n"
    "from aulight.settings.data import GeneratorSettings\n"
    "from aulight.data.synthetic.dataset import SIZES, Size\n"
    "SIZES['tiny'] = Size(48, 10, 2, 1, 1, 1)\n"
    "print(open_data(pathlib.Path(sys.argv[1]), GeneratorSettings.model_construct(size='tiny', seed=0)).fingerprint)"
)


def test_two_processes_at_once_make_the_synthetic_dataset_once(tmp_path: Path) -> None:
    root = tmp_path / "new" / "synthetic"
    jobs = [
        subprocess.Popen(
            [sys.executable, "-c", OPEN, str(root)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    ends = [job.communicate(timeout=120) for job in jobs]
    assert [job.returncode for job in jobs] == [0, 0], ends
    assert len({out for out, _ in ends}) == 1
    assert sorted("Drawing synthetic faces" in err for _, err in ends) == [False, True]
    assert len(members(root)) == len(PreparedDataset(root).videos)
