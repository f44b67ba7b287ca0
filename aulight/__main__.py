"""``python -m aulight``."""

from aulight.cli.main import main

main()
