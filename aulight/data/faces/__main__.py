"""``python -m aulight.data.faces`` fetches the landmarker's model."""

import sys

from aulight.data.faces.model_file import install_model
from aulight.errors import AulightError

if __name__ == "__main__":
    try:
        print(install_model())
    except AulightError as error:
        sys.exit(f"aulight: {error}")
