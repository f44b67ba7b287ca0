"""``aulight label``: the page in the browser where coders score the drawn frames."""

import importlib.util
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from aulight.errors import AulightError, say
from aulight.settings.label import LabelSettings


def label(settings: LabelSettings, typed: Sequence[str] = ()) -> None:
    """Serves the coding page until Ctrl-C, and then writes the label table.

    Args:
        settings: Of the command.
        typed: The settings as they were typed: of the others, those of a sample that is there count.

    Raises:
        AulightError: When the sample cannot be opened, or the table is there and was not written so.
    """
    if lacking := [name for name in ("starlette", "uvicorn") if importlib.util.find_spec(name) is None]:
        raise AulightError(f'label: {" and ".join(lacking)} not installed; pip install "aulight[label]"')
    from aulight.labelling.opening import open_sample
    from aulight.labelling.session import Session
    from aulight.labelling.store import told_of_scores

    names = {text.lstrip("+~").partition("=")[0] for text in typed}
    with told_of_scores(Path(settings.sample)), closing(open_sample(settings, names)) as opened:
        for line in opened.lines:
            say(line)
        output = Path(settings.sample, "labels.csv") if settings.output is None else Path(settings.output)
        session = Session(opened, settings.coder, output.expanduser(), settings.differing, settings.port)
        say(f"The page: {session.address}")
        say("Ctrl-C ends it; the same command goes on where it was")
        session.run(settings.browser)
        for line in session.export().lines(settings.differing):
            say(line)
        say(f"Next, once all is coded: {session.next_command}")
