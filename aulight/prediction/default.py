"""The model that is in the box, and what is to be known of any that learned from rendered faces."""

from pathlib import Path

from aulight.errors import AulightError

PORTRAITS = "portraits"
"""What the default model learned from."""

RENDERED = ("avatars", PORTRAITS)
"""Datasets of faces that are rendered in three dimensions."""

CAUTION = "learned from rendered faces alone; not measured on coded human faces"

FILE = Path(__file__).with_name("default.aulight")


def default_model() -> Path:
    """The file of the model that is in the box.

    Raises:
        AulightError: Where this aulight has none.
    """
    if not FILE.is_file():
        raise AulightError(
            "model=default: this copy of aulight has none; give another model=, "
            "or model=table for the landmarker's scores"
        )
    return FILE
