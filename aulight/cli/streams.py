"""Standard input, output and errors, as they are found: closed, in an encoding that lacks letters, or full."""

import os
import sys


def make_usable() -> None:
    """Sees to it that what is printed raises nothing: unknown letters are written by their numbers.

    Where one of the three is closed, its place is taken by nothing at all; else the next file that is opened would have
    its number, and what libraries print would be written into it.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, "w" if number else "r", closefd=False))
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def is_stuck() -> bool:
    """Whether what is printed cannot be written, as on a full disk: an empty line is tried.

    Where Python buffers nothing (PYTHONUNBUFFERED, as in many containers) there is nothing left to flush.
    """
    try:
        print(flush=True)
    except OSError:
        return True
    return False


def let_go() -> None:
    """Drops what could not be printed: Python would try again at its end, and print a traceback."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(nothing, stream.fileno())
    os.close(nothing)
