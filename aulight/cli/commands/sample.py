"""``aulight sample``: which frames to label, drawn at random, with their pictures for a coder."""

from pathlib import Path

from aulight.data.opening import open_data
from aulight.datasets import DISFA_AUS
from aulight.errors import say
from aulight.preparation.coding import make_coding, refuse_old
from aulight.settings.sample import SampleSettings


def sample(settings: SampleSettings) -> None:
    """Draws frames of a prepared dataset, writes what a coder needs, and says what comes after.

    Raises:
        AulightError: When the output is there already or fewer frames can be drawn than are wanted.
        VideoError: When a video with a drawn frame cannot be read.
    """
    output = Path(settings.output).expanduser()
    refuse_old(output)  # before a synthetic dataset is made for nothing
    data = open_data(Path(settings.data.root), settings.data.synthetic)
    coding = make_coding(data, output, settings.aus or data.aus or DISFA_AUS, settings)
    for line in coding.lines():
        say(line)
