"""References between settings; oracle: what OmegaConf makes of those that are short."""

import pytest
from omegaconf import OmegaConf

from aulight.errors import AulightError
from aulight.runs.references import LONGEST, refuse_growth


@pytest.mark.parametrize("kind", ["text", "list", "group"])
def test_what_doubles_line_by_line_is_refused_before_it_is_made(kind: str) -> None:
    def lines(count: int) -> dict[str, object]:
        made: dict[str, object] = {"a0": {"x": "ten signs."} if kind == "group" else "ten signs."}
        for number in range(1, count):
            before = f"${{a{number - 1}}}"
            double = {"text": before + before, "list": [before, before], "group": {"x": before, "y": before}}
            made[f"a{number}"] = double[kind]
        return made

    short = OmegaConf.create(lines(10))
    refuse_growth(short)
    assert (
        str(OmegaConf.select(short, "a9") if kind == "text" else OmegaConf.to_yaml(short.a9, resolve=True)).count(
            "ten signs."
        )
        == 2**9
    )
    with pytest.raises(AulightError, match=f"^a[0-9.xy]+: longer than {LONGEST} characters, once the settings"):
        refuse_growth(OmegaConf.create(lines(60)))


def test_relative_references_and_circles_end() -> None:
    config = OmegaConf.create({"a": {"b": "${.c}${..d}", "c": "${a.b}", "e": "${oc.select:d}"}, "d": "x" * LONGEST})
    with pytest.raises(AulightError, match=r"^(a\.[bce]|d): longer than"):
        refuse_growth(config)
    refuse_growth(OmegaConf.create({"a": "${b}", "b": "${a}"}))
