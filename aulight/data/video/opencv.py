"""Which OpenCV is installed.

Four packages bring the module ``cv2``, each meant to be there without the others, and what was installed last lies over
the rest. albumentations asks for ``opencv-python-headless`` and mediapipe for ``opencv-contrib-python``, by name, so no
requirement of ours can keep one out: ``make install`` takes both away and puts one back, and whoever installs by pip
is told how to.
"""

from importlib.metadata import PackageNotFoundError, distribution

PACKAGES = (
    "opencv-contrib-python",
    "opencv-contrib-python-headless",
    "opencv-python",
    "opencv-python-headless",
)

WINDOWED = "opencv-contrib-python"
"""The one to keep: it has windows and all that mediapipe and albumentations want."""


def installed() -> list[str]:
    """The packages that bring ``cv2``: one, where all is well."""
    return [name for name in PACKAGES if _is_installed(name)]


def _is_installed(name: str) -> bool:
    try:
        distribution(name)
    except PackageNotFoundError:
        return False
    return True


def mend(keep: str = WINDOWED) -> str:
    """The command that leaves one of the packages, and whole."""
    there = " ".join(installed())
    return f"pip uninstall -y {there} && pip install --no-deps {keep}"


def doubled() -> str | None:
    """What is wrong where several packages bring ``cv2``, and how to mend it; ``None`` where one does."""
    there = installed()
    if len(there) < 2:
        return None
    return f"{' and '.join(there)} install OpenCV over each other; keep one: {mend()}"


def no_windows() -> str | None:
    """Why the OpenCV that is installed cannot show windows, and how to mend it; ``None`` where it can."""
    import cv2

    lines = (line.strip() for line in cv2.getBuildInformation().splitlines())
    gui = next((line for line in lines if line.startswith("GUI:")), "")
    if "NONE" not in gui:
        return None
    return f"this OpenCV has no windows ({', '.join(installed()) or 'built without them'}); {mend()}"
