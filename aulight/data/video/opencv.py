"""Which OpenCV is installed, and whether it has windows.

Four packages bring the module ``cv2``, each meant to be there without the others. albumentations asks for
``opencv-python-headless``, which has no windows and needs no libraries of the system; whoever wants windows puts
another in its place.
"""

from importlib.metadata import PackageNotFoundError, distribution

PACKAGES = (
    "opencv-contrib-python",
    "opencv-contrib-python-headless",
    "opencv-python",
    "opencv-python-headless",
)

WINDOWED = "opencv-python"
"""One that has windows."""


def installed() -> list[str]:
    """The packages that bring ``cv2``: one, where all is well."""
    return [name for name in PACKAGES if _is_installed(name)]


def _is_installed(name: str) -> bool:
    try:
        distribution(name)
    except PackageNotFoundError:
        return False
    return True


def no_windows() -> str | None:
    """Why the OpenCV that is installed cannot show windows, and how to mend it; ``None`` where it can."""
    import cv2

    lines = (line.strip() for line in cv2.getBuildInformation().splitlines())
    gui = next((line for line in lines if line.startswith("GUI:")), "")
    if "NONE" not in gui:
        return None
    there = installed()
    mend = f"pip install --no-deps {WINDOWED}"
    if there:
        mend = f"pip uninstall -y {' '.join(there)} && {mend}"
    return f"this OpenCV has no windows ({', '.join(there) or 'built without them'}); {mend}"
