"""What a user can do wrong, as exceptions whose message is the one line that the command line prints."""


class AulightError(Exception):
    """A mistake the user can mend; the message says what, which file or key, and what to do."""


class VideoError(AulightError):
    """A video file that cannot be read as expected; ``data.on_error=skip`` passes over it."""


def one_line(error: object) -> str:
    """The message on one line, without the traceback that a loader process puts before it."""
    text = str(error)
    if text.startswith("Caught ") and "Traceback (most recent call last)" in text:
        text = text.strip().splitlines()[-1].partition(": ")[2]
    return " ".join(text.split())
