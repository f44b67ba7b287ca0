"""``python -m aulight.data.synthetic``: the synthetic dataset, where it is not there yet, or a picture of its faces."""

import argparse
import os
import sys
from pathlib import Path
from typing import get_args

import cv2

from aulight.data.opening import open_data
from aulight.data.synthetic.sheet import contact_sheet
from aulight.errors import AulightError
from aulight.files import whole
from aulight.settings.data import GeneratorSettings


def _main() -> None:
    parser = argparse.ArgumentParser(prog="python -m aulight.data.synthetic", description="Faces drawn by code.")
    wanted = parser.add_mutually_exclusive_group(required=True)
    wanted.add_argument("--dataset", type=Path, metavar="FOLDER", help="where the dataset goes")
    wanted.add_argument("--contact-sheet", type=Path, metavar="PNG", help="where a picture of the faces goes")
    sizes = get_args(GeneratorSettings.model_fields["size"].annotation)
    parser.add_argument("--size", choices=sizes, default="default", help="of the dataset")
    given = parser.parse_args()
    if given.dataset is not None:
        open_data(given.dataset, GeneratorSettings(size=given.size, seed=0))
        return
    path: Path = given.contact_sheet
    if os.path.lexists(path):
        raise AulightError(f"--contact-sheet {path}: already there; give another name")
    picture = cv2.cvtColor(contact_sheet(), cv2.COLOR_RGB2BGR)
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole(path) as temporary:
        temporary.write_bytes(cv2.imencode(".png", picture, [cv2.IMWRITE_PNG_COMPRESSION, 9])[1].tobytes())


if __name__ == "__main__":
    try:
        _main()
    except AulightError as error:
        print(f"aulight: {error}", file=sys.stderr)
        sys.exit(2)
