"""``python -m aulight.data.avatars``: fetches the head; makes the dataset, raw videos, pictures; or measures."""

import argparse
import sys
from pathlib import Path
from typing import get_args

import cv2
import numpy as np

from aulight.data.avatars.assets import install_assets
from aulight.data.avatars.raw import write_raw
from aulight.data.avatars.rehearsal.building import KINDS, rehearse
from aulight.data.avatars.sheet import SHEETS, beside
from aulight.data.avatars.speed import speeds
from aulight.data.opening import open_data
from aulight.errors import AulightError
from aulight.files import whole
from aulight.settings.data import AvatarGeneratorSettings


def _main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m aulight.data.avatars", description="Faces in three dimensions; without a word: fetch the head."
    )
    commands = parser.add_subparsers(dest="command")
    of = commands.add_parser("dataset", help="a prepared dataset, where it is not there yet")
    of.add_argument("out", type=Path, help="its folder")
    of.add_argument(
        "--size", choices=get_args(AvatarGeneratorSettings.model_fields["size"].annotation), default="default"
    )
    raw = commands.add_parser("raw", help="videos of 640x360 from two cameras, with labels, for `aulight prepare`")
    raw.add_argument("out", type=Path, help="their folder")
    raw.add_argument("--people", type=int, default=10)
    raw.add_argument("--frames", type=int, default=300, help="of each video")
    acted = commands.add_parser("rehearse", help="raw data in a dataset's layout, where they are not there yet")
    acted.add_argument("kind", choices=KINDS, help="like DISFA, like BP4D, or like Aff-Wild2 and of other people")
    acted.add_argument("out", type=Path, help="their folder")
    acted.add_argument("--people", type=int, help="as many as the dataset has")
    acted.add_argument("--frames", type=int, help="of a video, on average; as many as the dataset has")
    sheet = commands.add_parser("sheet", help="a picture of the faces")
    sheet.add_argument("out", type=Path, help="a .jpg or .png")
    sheet.add_argument("--of", choices=SHEETS, default="actions")
    sheet.add_argument(
        "--beside", type=Path, metavar="PHOTOGRAPH", help="instead: some beside the face of a photograph"
    )
    commands.add_parser("speed", help="frames a second of one core")
    for one in (of, raw, acted, sheet):
        one.add_argument("--rig", choices=("first", "second"), default="first", help="what moves the faces")
        one.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    if given.command is None:
        print(install_assets())
    elif given.command == "dataset":
        open_data(given.out, AvatarGeneratorSettings(size=given.size, seed=given.seed, rig=given.rig))
    elif given.command == "speed":
        for what, frames, before in speeds():
            print(f"{what}: {frames:.0f} frames/s; {before:.2f} s for a new person")
    elif given.command == "rehearse":
        rehearse(given.out, given.kind, given.people, given.frames, given.seed, given.rig)
    elif given.command == "raw":
        write_raw(given.out, given.people, given.frames, given.seed, given.rig)
    else:
        if given.out.exists() or given.out.is_symlink():
            raise AulightError(f"{given.out}: already there; give another name")
        if given.out.suffix not in (".jpg", ".png"):
            raise AulightError(f"{given.out}: a name that ends in .jpg or .png is needed")
        if given.beside is None:
            drawn = SHEETS[given.of](given.seed, given.rig)
        elif (photograph := cv2.imread(str(given.beside), cv2.IMREAD_COLOR_RGB)) is None:
            raise AulightError(f"{given.beside}: no picture that can be read")
        else:
            drawn = beside(np.asarray(photograph, np.uint8), given.seed, given.rig)
        picture = cv2.cvtColor(drawn, cv2.COLOR_RGB2BGR)
        given.out.parent.mkdir(parents=True, exist_ok=True)
        jpg = given.out.suffix == ".jpg"
        quality = [cv2.IMWRITE_JPEG_QUALITY, 62] if jpg else [cv2.IMWRITE_PNG_COMPRESSION, 9]
        with whole(given.out) as temporary:
            temporary.write_bytes(cv2.imencode(given.out.suffix, picture, quality)[1].tobytes())


if __name__ == "__main__":
    try:
        _main()
    except AulightError as error:
        print(f"aulight: {error}", file=sys.stderr)
        sys.exit(2)
