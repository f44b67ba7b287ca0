"""What a user can do wrong, as exceptions whose message is the one line that the command line prints."""


class AulightError(Exception):
    """A mistake the user can mend; the message says what, which file or key, and what to do."""


class VideoError(AulightError):
    """A video file that cannot be read as expected; ``data.on_error=skip`` passes over it."""
