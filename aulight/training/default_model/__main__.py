"""``python -m aulight.training.default_model``: makes the model that is in the box anew, or scores it."""

import argparse
import math
import sys
from pathlib import Path

import torch

from aulight.errors import AulightError
from aulight.prediction.default import FILE
from aulight.settings.predict import TABLE
from aulight.training.default_model.collection import Collection
from aulight.training.default_model.fit import Fit, fit
from aulight.training.default_model.pack import TESTED, pack
from aulight.training.default_model.score import read_videos, table_of


def _main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m aulight.training.default_model", description="The model in the box, from rendered faces alone."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    make = commands.add_parser("make", help="draw the faces, train, calibrate, write the file")
    make.add_argument("--output", type=Path, default=FILE, help="the .aulight to write")
    make.add_argument("--people", type=int, default=1850, help="who are drawn, 48 pictures of each")
    make.add_argument("--held-out", type=int, default=96, help="the first of them, who calibrate the intervals")
    make.add_argument("--steps", type=int, default=16300, help="of training, 64 pictures each")
    make.add_argument("--minutes", type=float, default=math.inf, help="of training, where that is less")
    make.add_argument("--tested", type=int, default=TESTED, help="other people, of the second rig, for the card")
    make.add_argument("--seed", type=int, default=1, help="of the people and of training")
    score = commands.add_parser("score", help="read videos of both rigs with the model and with the table")
    score.add_argument("--rig", choices=("first", "second"), action="append", help="both, where not given")
    for one in (make, score):
        one.add_argument("--folder", type=Path, required=True, help="for pictures, checkpoints and videos")
        one.add_argument("--workers", type=int, default=2, help="processes that draw, and threads of training")
    given = parser.parse_args()
    if given.command == "score":
        for which in given.rig or ("first", "second"):
            print(f"\nVideos of the {which} rig:\n")
            print(table_of(read_videos(given.folder, which, [TABLE, None])))
        return
    if given.people <= given.held_out:
        raise AulightError(f"--people {given.people}: more than --held-out {given.held_out} are needed")
    collection = Collection(given.folder / "portraits", given.people, given.seed)
    collection.draw(given.workers)
    torch.set_num_threads(given.workers)
    how = Fit(given.steps, given.held_out, given.minutes)
    learner, steps = fit(collection, how, given.folder / "checkpoints", given.seed)
    model, scores = pack(learner, collection, steps, given.held_out, given.output, given.tested)
    print(table_of(scores))
    print(f"{given.output}: {given.output.stat().st_size / 1e6:.2f} MB, {len(model.aus)} AUs")


if __name__ == "__main__":
    try:
        _main()
    except AulightError as error:
        sys.exit(f"aulight: {error}")
