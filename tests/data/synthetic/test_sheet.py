"""The picture of the synthetic faces."""

import numpy as np

from aulight.data.synthetic.sheet import contact_sheet


def test_contact_sheet_fits_its_panels() -> None:
    sheet = contact_sheet(subjects=1, pixels=32, columns=4)
    assert sheet.dtype == np.uint8
    assert sheet.shape == (3 * (32 + 38 + 8) + 8, 4 * (3 * 32 + 8) + 8, 3)
