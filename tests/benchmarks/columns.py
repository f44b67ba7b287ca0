"""``make bench-columns``: how far what tables say of faces beside AUs can be trusted, and what it costs.

On avatars, whose head and eyes are turned in known ways, and which nothing was set on:

- *head*, *gaze*: the mean absolute error in degrees of each angle; *less own mean*: the same when everybody's own mean
  error is known and taken away; *r*: the correlation over all pictures.
- *size*: how far off the millimetres of the face that a pixel shows are, on which distances depend.

On the same pictures made worse in known ways (tests/data/faces/spoiling.py), and on two photographs:

- *found*: the share in which the landmarker still finds a face.
- *quality*: the median of those.
- *AUC*: how often such a picture has a lower quality than one that is not made worse, drawn at random.

Last, what measuring takes of a processor's time for each face, beside what finding its landmarks takes.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import matplotlib
import numpy as np
import numpy.typing as npt
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[2]))

from aulight.data.faces.detection import region_of
from aulight.data.faces.gaze import gaze, gaze_angles
from aulight.data.faces.head_pose import HeadPose, head_pose
from aulight.data.faces.landmarker import Landmarker
from aulight.data.faces.pose import Face
from aulight.data.faces.quality import quality
from aulight.data.video.types import Frames
from aulight.prediction.columns import MEASURED, USUAL, columns_of
from aulight.settings.predict import PRESENT_FROM
from tests.data.faces.astronaut import ASTRONAUT
from tests.data.faces.posed import Posed, posed
from tests.data.faces.spoiling import SPOILED

Array = npt.NDArray[np.float64]
SEED = 11
"""Of the avatars; limits were set on those of 7."""

FRAMES = (10, 40, 70)
TURNED = (30, 45, 60)
"""Degrees from which other cameras see them."""

Seen = list[tuple[Frames, Face]]


def found(landmarker: Landmarker, image: Frames) -> Face | None:
    """The face in a picture."""
    return next(iter(landmarker.look(image)), None)


def row(*cells: object) -> None:
    """Prints a row of a table."""
    print(f"| {' | '.join(map(str, cells))} |", flush=True)


def head(*cells: str) -> None:
    """Prints the head of a table."""
    print()
    row(*cells)
    row("---", *["--:"] * (len(cells) - 1))


def said_of(name: str, true: Array, said: Array, people: Array) -> None:
    """Prints how far angles ``(pictures,)``, in degrees, are off."""
    off = said - true
    own = np.array([off[people == person].mean() for person in people])
    spread = f"{true.min():.0f} to {true.max():.0f}"
    correlation = np.corrcoef(true, said)[0, 1]
    row(name, spread, f"{np.abs(off).mean():.1f}", f"{np.abs(off - own).mean():.1f}", f"{correlation:.2f}")


def angles_of(looks: Array) -> Array:
    """OpenFace's angles of one direction, degrees."""
    return np.degrees([np.arctan2(looks[0], -looks[2]), np.arctan2(looks[1], -looks[2])])


def turns(landmarker: Landmarker, pictures: list[Posed]) -> Seen:
    """Prints how far head and gaze are off; the pictures in which there is a face."""
    faces = [(one, face) for one in pictures if (face := found(landmarker, one.image)) is not None]
    poses = [head_pose(face) for _, face in faces]
    people = np.array([one.subject for one, _ in faces])
    true = np.degrees([HeadPose(one.turn, 1.0, np.zeros(3)).angles for one, _ in faces])
    said = np.degrees([pose.angles for pose in poses])
    print(f"{len(faces)} of {len(pictures)} pictures of {len(set(people.tolist()))} avatars with a face")
    head("degrees", "true", "off by", "less own mean", "r")
    for number, name in enumerate(MEASURED["pose"][3:]):
        said_of(name, true[:, number], said[:, number], people)
    is_open = np.array([one.open for one, _ in faces])
    true = np.array([angles_of(one.looks) for one, _ in faces])
    measured = [gaze_angles(gaze(face, pose)) for (_, face), pose in zip(faces, poses, strict=True)]
    for number, name in enumerate(("gaze_angle_x", "gaze_angle_y")):
        said_of(name, true[is_open, number], np.degrees(measured)[is_open, number], people[is_open])
    sizes = [pose.mm / one.mm - 1 for (one, _), pose in zip(faces, poses, strict=True)]
    print(
        f"\nsize: {statistics.median(sizes):+.0%} (median), half of them off by {np.median(np.abs(sizes)):.0%} or more"
    )
    return [(one.image, face) for one, face in faces]


def worse(clean: Seen, people: int) -> Iterator[tuple[str, str, list[Frames]]]:
    """Ways to make pictures worse, how much, and the pictures."""
    for name, levels in SPOILED.items():
        for level, spoil in levels.items():
            yield name, level, [np.ascontiguousarray(spoil(image, face.landmarks)) for image, face in clean]
    for degrees in TURNED:
        angles = (float(np.deg2rad(degrees)), -float(np.deg2rad(degrees)))
        yield "turned", f"{degrees}°", [one.image for one in posed(SEED, people, FRAMES[:1], angles)]


def qualities(landmarker: Landmarker, clean: Seen, people: int) -> None:
    """Prints what quality says of pictures and of the same made worse."""
    best = np.array([judged(image, face) for image, face in clean])
    photos = {name: (image, face) for name, image in photographs().items() if (face := found(landmarker, image))}
    print(f"\nquality of {len(best)} pictures as they are: median {np.median(best):.2f}, a tenth below", end=" ")
    print(
        f"{np.quantile(best, 0.1):.2f}; of", ", ".join(f"{name} {judged(*photo):.2f}" for name, photo in photos.items())
    )
    head("made worse", "how much", "found", "quality", "AUC", *photos)
    for name, level, pictures in worse(clean[::2], people):
        faces = [(image, face) for image in pictures if (face := found(landmarker, image)) is not None]
        bad = np.array([judged(image, face) for image, face in faces])
        share, median, auc = f"{len(faces) / len(pictures):.0%}", "", ""
        if len(bad):
            median = f"{np.median(bad):.2f}"
            auc = f"{(best[:, None] > bad).mean() + (best[:, None] == bad).mean() / 2:.2f}"
        cells = []
        for image, face in photos.values() if name in SPOILED else ():
            spoiled = np.ascontiguousarray(SPOILED[name][level](image, face.landmarks))
            there = found(landmarker, spoiled)
            cells.append("not found" if there is None else f"{judged(spoiled, there):.2f}")
        row(name, level, share, median, auc, *(cells or [""] * len(photos)))


def judged(image: Frames, face: Face) -> float:
    """The quality of a face."""
    return quality(face, head_pose(face), image).all


def photographs() -> dict[str, Frames]:
    """Two real faces that come with libraries: scikit-image's astronaut, and matplotlib's Grace Hopper."""
    hopper = Image.open(Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg").convert("RGB")
    return {"astronaut": ASTRONAUT, "Grace Hopper": np.asarray(hopper, np.uint8)}


def costs(landmarker: Landmarker, clean: Seen) -> None:
    """Prints what measuring takes."""
    every = columns_of(list(MEASURED), PRESENT_FROM, None, True).measure
    usual = columns_of(USUAL, PRESENT_FROM, None, True).measure
    assert every is not None
    assert usual is not None
    work = {
        "landmarks": lambda face, image: landmarker._face(image, region_of(face.landmarks)),
        "box, pose and quality": usual,
        "all": every,
    }
    took: dict[str, list[float]] = {name: [] for name in work}
    for _ in range(3):
        for name, measure in work.items():
            begin = time.process_time()
            for image, face in clean:
                measure(face, image)
            took[name].append((time.process_time() - begin) / len(clean) * 1e3)
    said = (f"{name} {statistics.median(times):.2f} ms" for name, times in took.items())
    print(f"\na face takes of a processor's time: {', '.join(said)}")


def main() -> None:
    """Prints all of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=20)
    people = parser.parse_args().people
    landmarker = Landmarker(blendshapes=False, max_faces=1)
    try:
        clean = turns(landmarker, list(posed(SEED, people, FRAMES)))
        qualities(landmarker, clean, people)
        costs(landmarker, clean)
    finally:
        landmarker.close()


if __name__ == "__main__":
    main()
