"""``python -m aulight``."""

from aulight.cli import main

main()
