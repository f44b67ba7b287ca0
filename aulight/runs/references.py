"""References between settings, ``${name}``: how long a text becomes in which they are put in."""

import re
from collections.abc import Iterator
from typing import Any

from omegaconf import DictConfig, OmegaConf

from aulight.errors import AulightError

LONGEST = 100_000
"""Characters that a setting may have, with what it refers to put in each time: twenty lines can make gigabytes."""

_REFERENCE = re.compile(r"\$\{(?:oc\.select:)?(\.*)([\w.]+)")


def refuse_growth(config: DictConfig) -> None:
    """Refuses a configuration in which a setting grows beyond all bounds; nothing is put in for it.

    Args:
        config: As composed, with its references.

    Raises:
        AulightError: With the setting.
    """
    lengths = _Lengths(OmegaConf.to_container(config, resolve=False))
    for name, _ in sorted(lengths.texts, key=lambda text: text[0].startswith("hydra.")):  # made of the others
        if lengths.of(name) > LONGEST:
            raise AulightError(
                f"{name}: longer than {LONGEST} characters, once the settings that it refers to are put in"
            )


class _Lengths:
    """How long settings and whole groups are, with what they refer to."""

    def __init__(self, plain: Any) -> None:
        self.texts = list(_leaves(plain, ""))
        self._inside: dict[str, list[tuple[str, str]]] = {}
        for name, text in self.texts:
            parts = name.split(".")
            for depth in range(1, len(parts) + 1):
                self._inside.setdefault(".".join(parts[:depth]), []).append((name, text))
        self._known: dict[str, int] = {}

    def of(self, name: str) -> int:
        """Characters; what refers to itself counts once, since it is refused elsewhere."""
        if name not in self._known:
            self._known[name] = 0
            whole = 0
            for inner, text in self._inside.get(name, ()):
                whole += 1 + len(text)
                for dots, reference in _REFERENCE.findall(text):
                    above = inner.split(".")[: -len(dots)] if dots else []
                    whole += self.of(".".join([*above, reference]))
            self._known[name] = whole
        return self._known[name]


def _leaves(plain: Any, prefix: str) -> Iterator[tuple[str, str]]:
    """Names and texts of all settings; items of lists are numbered."""
    if isinstance(plain, dict | list):
        for key, value in plain.items() if isinstance(plain, dict) else enumerate(plain):
            yield from _leaves(value, f"{prefix}.{key}" if prefix else str(key))
    else:
        yield prefix, str(plain)
