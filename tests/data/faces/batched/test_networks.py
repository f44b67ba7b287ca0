"""The face landmarker's networks by torch, beside LiteRT, which runs the very same file."""

import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from aulight.data.faces.batched.graph import UnknownNetworkError
from aulight.data.faces.batched.module import LiteModule
from aulight.data.faces.batched.networks import SharedNetworks, found_device
from aulight.data.faces.landmarker import Landmarker
from aulight.data.faces.model_file import DETECTOR, EXPRESSIONS, MESH, model_file, network
from aulight.data.faces.networks import SHAPES, Networks, Tensor
from aulight.data.video.types import Frames
from aulight.errors import AulightError
from tests.data.faces.posed import posed
from tests.data.faces.scenes import SCENES

PIXELS, LOGIT, SCORE = 0.05, 0.01, 0.001
"""How far torch and LiteRT may be apart: places, logits and blendshapes. Measured: a 40th of it, or less."""


class Noted(Networks):
    """LiteRT's, which notes what it is given and gives."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.detected: list[tuple[Frames, tuple[Tensor, Tensor]]] = []
        self.meshed: list[tuple[Frames, tuple[Tensor, Tensor]]] = []
        self.scored: list[tuple[Tensor, Tensor]] = []

    def detect(self, picture: Frames) -> tuple[Tensor, Tensor]:
        self.detected.append((picture, super().detect(picture)))
        return self.detected[-1][1]

    def mesh(self, picture: Frames) -> tuple[Tensor, Tensor]:
        self.meshed.append((picture, super().mesh(picture)))
        return self.meshed[-1][1]

    def blendshapes(self, points: Tensor) -> Tensor:
        self.scored.append((points, super().blendshapes(points)))
        return self.scored[-1][1]


@pytest.fixture(scope="module")
def noted() -> Noted:
    """What LiteRT makes of a real face, small and large, turned and cut off, of avatars, and of noise."""
    noted = Noted(model_file())
    landmarker = Landmarker(True, 4, networks=noted)
    pictures = [*list(SCENES["pictures"]())[::3], *SCENES["none"](), *(one.image for one in posed(3, 2, [0, 40]))]
    for picture in pictures:
        landmarker.look(picture, sure=True)
    noise = np.random.default_rng(0)
    for low, high in ((0, 256), (0, 2), (100, 140)):
        noted.detect(noise.integers(low, high, (128, 128, 3), np.uint8))
        noted.mesh(noise.integers(low, high, (256, 256, 3), np.uint8))
        noted.blendshapes(noise.uniform(low, high, (146, 2)).astype(np.float32))
    assert min(len(noted.detected), len(noted.meshed), len(noted.scored)) > 20
    return noted


@pytest.fixture(scope="module")
def shared() -> Iterator[SharedNetworks]:
    shared = SharedNetworks(model_file(), "cpu")
    yield shared
    shared.close()


def apart(one: Tensor, other: Tensor) -> float:
    assert one.shape == other.shape
    assert one.dtype == other.dtype == np.float32
    return float(np.abs(one - other).max())


def logits_apart(one: Tensor, other: Tensor) -> float:
    """Within what is a probability: noise gets logits of -20,000."""
    return apart(np.clip(one, -100, 100), np.clip(other, -100, 100))


def test_each_network_gives_what_litert_gives(noted: Noted, shared: SharedNetworks) -> None:
    ours = shared.of_a_video()
    for picture, (boxes, logits) in noted.detected:
        seen = ours.detect(picture)
        assert apart(seen[0], boxes) < PIXELS
        assert logits_apart(seen[1], logits) < LOGIT
    for picture, (points, logit) in noted.meshed:
        found = ours.mesh(picture)
        assert apart(found[0], points) < PIXELS
        assert logits_apart(found[1], logit) < LOGIT
    for points, scores in noted.scored:
        assert apart(ours.blendshapes(points), scores) < SCORE
    ours.close()


@pytest.mark.parametrize("name", [DETECTOR, MESH, EXPRESSIONS])
def test_a_batch_gives_what_its_pictures_give_alone(name: str, noted: Noted) -> None:
    module = LiteModule(network(model_file(), name))
    given = [points for points, _ in noted.scored]
    if name != EXPRESSIONS:
        pictures = noted.detected if name == DETECTOR else noted.meshed
        given = [picture.astype(np.float32) / np.float32(255) for picture, _ in pictures]
    given = given[-9:]
    values = torch.from_numpy(np.stack(given))
    with torch.inference_mode():
        together, alone = module(values), [module(values[place : place + 1]) for place in range(len(given))]
    for place, outputs in enumerate(together):
        assert outputs.shape[0] == len(given)
        assert outputs[0].numel() == np.prod(SHAPES[name][1][place])
        torch.testing.assert_close(outputs, torch.cat([one[place] for one in alone]), rtol=0, atol=SCORE)


def test_threads_get_their_own_to_the_last_bit(noted: Noted, shared: SharedNetworks) -> None:
    """Oracle: the same pictures one after the other, so that each is in a batch of its own."""
    video = shared.of_a_video()
    pictures = [picture for picture, _ in noted.meshed[-20:]]
    alone = [video.mesh(picture)[0] for picture in pictures]
    points = [points for points, _ in noted.scored[-20:]]
    scores = [video.blendshapes(each) for each in points]
    video.close()
    wrong: list[int] = []

    def look(first: int) -> None:
        mine = shared.of_a_video()
        for place in [*range(first, len(pictures)), *range(first)]:
            if not np.array_equal(mine.mesh(pictures[place])[0], alone[place]):
                wrong.append(place)
            if not np.array_equal(mine.blendshapes(points[place % len(points)]), scores[place % len(points)]):
                wrong.append(place)
        mine.close()

    threads = [threading.Thread(target=look, args=(3 * number,)) for number in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_landmarker_finds_the_same_faces(shared: SharedNetworks) -> None:
    """Oracle: the landmarker on LiteRT."""
    ours, theirs = Landmarker(True, 4, networks=shared.of_a_video()), Landmarker(True, 4)
    for picture in SCENES["several"]():
        for one, other in zip(ours.look(picture, sure=True), theirs.look(picture, sure=True), strict=True):
            assert np.abs(one.landmarks - other.landmarks).max() < PIXELS
            assert np.abs(one.blendshapes - other.blendshapes).max() < SCORE
    ours.close()
    theirs.close()


@pytest.mark.parametrize("name", [DETECTOR, MESH, EXPRESSIONS])
def test_damaged_networks_are_refused(name: str, tmp_path: Path) -> None:
    """Cut off, emptied and with bytes changed: an error of ours or a network, never another one."""
    content, noise = network(model_file(), name), np.random.default_rng(1)
    for cut in (0, 3, 100, len(content) // 2):
        with pytest.raises(UnknownNetworkError):
            LiteModule(content[:cut])
    for _ in range(10):
        spoiled = bytearray(content)
        for place in noise.integers(0, 2000, 20):
            spoiled[place] = noise.integers(256)
        try:
            LiteModule(bytes(spoiled))
        except UnknownNetworkError:
            continue
    model = tmp_path / "model.task"
    with zipfile.ZipFile(model, "w") as archive:
        for member in (DETECTOR, MESH, EXPRESSIONS):
            archive.writestr(member, b"damaged" if member == name else network(model_file(), member))
    with pytest.raises(AulightError, match=f"model.task: not a face landmarker: {name}"):
        SharedNetworks(model, "cpu")
    with zipfile.ZipFile(model, "w") as archive:
        for member in (DETECTOR, MESH, EXPRESSIONS):
            archive.writestr(member, network(model_file(), EXPRESSIONS if member == MESH else DETECTOR))
    with pytest.raises(AulightError, match="takes or gives something else"):
        SharedNetworks(model, "cpu")


def test_devices() -> None:
    assert [found_device(asked) for asked in ("cpu", "torch")] == ["cpu", "torch"]
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    assert found_device("auto") == ("cuda" if count else "cpu")
    with pytest.raises(AulightError, match=r"faces.device=cuda:99: torch sees .* GPUs here; faces.device=cpu needs"):
        found_device("cuda:99")
