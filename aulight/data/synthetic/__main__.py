"""``python -m aulight.data.synthetic --contact-sheet faces.png`` draws a picture of the synthetic faces."""

import argparse
from pathlib import Path

import cv2

from aulight.data.synthetic.sheet import contact_sheet


def _main() -> None:
    parser = argparse.ArgumentParser(prog="python -m aulight.data.synthetic", description="Look at the faces.")
    parser.add_argument("--contact-sheet", type=Path, required=True, metavar="PNG", help="where the picture goes")
    path = parser.parse_args().contact_sheet
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), cv2.cvtColor(contact_sheet(), cv2.COLOR_RGB2BGR), [cv2.IMWRITE_PNG_COMPRESSION, 9])


if __name__ == "__main__":
    _main()
