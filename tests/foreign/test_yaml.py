"""YAML that was made to take all memory, or for ever: one line with the file's name, at once."""

import os
import resource
import time
from pathlib import Path

import pytest
import yaml

from aulight.errors import AulightError
from aulight.foreign.yaml import DEEPEST, MOST_BYTES, MOST_VALUES, read_yaml, write_yaml


def _levels(line: str, count: int = 9) -> str:
    """Each level refers nine times to the one before: 9 to the power of ``count`` values in some hundred bytes."""
    lines = ["l0: &l0 {x: 1}"]
    for level in range(1, count + 1):
        lines.append(f"l{level}: &l{level} " + line.format(", ".join([f"*l{level - 1}"] * 9)))
    return "\n".join(lines)


BOMBS = {
    "aliases": (_levels("[{}]"), f"more than {MOST_VALUES} values"),
    "merged mappings": (_levels("{{<<: [{}]}}"), f"more than {MOST_VALUES} values"),
    "a list in itself": ("&a [*a]", "stands in what it refers to"),
    "a mapping in itself": ("a: &a {b: {c: *a}}", "stands in what it refers to"),
    "nothing referred to": ("a: *b", "refers to nothing|undefined alias"),
    "brackets": ("a: " + "[" * 100_000, f"deeper than {DEEPEST}|not readable"),
    "braces": ("a: " + "{a: " * 100_000, f"deeper than {DEEPEST}|not readable"),
    "dashes": ("- " * 100_000 + "x", f"deeper than {DEEPEST}|not readable"),
    "indents": ("\n".join(" " * depth + "a:" for depth in range(2000)), f"deeper than {DEEPEST}|not readable"),
    "many keys": ("\n".join(f"k{key}: {key}" for key in range(MOST_VALUES)), f"more than {MOST_VALUES} values"),
    "large": ("a: '" + "x" * MOST_BYTES + "'", "larger than 16 MB"),
    "a long number": ("a: " + "9" * 100_000, "a number of 100000 characters"),
    "a long hexadecimal number": ("a: 0x" + "f" * 100_000, "a number of 100002 characters"),
    "a long sexagesimal number": ("a: 1:" + "59:" * 50_000 + "1", "a number of 150003 characters"),
    "a key twice": ("a: 1\nb: 2\na: 3", "the key 'a' is there twice"),
    "no day": ("a: 2001-99-99", "month"),
    "code": ("a: !!python/object/apply:os.system ['touch owned']", "python/object"),
    "a name of Python's": ("a: !!python/name:os.system", "python/name"),
    "another tag": ("a: !thing x", "thing"),
    "no integer": ("a: !!int ''", "not readable"),
    "no truth": ("a: !!bool maybe", "not readable"),
    "no time": ("a: !!timestamp x", "not readable"),
    "no base 64": ("a: !!binary é", "not readable"),
    "a list as key": ("? [1, 2]\n: 3", "not readable"),
    "two documents": ("a: 1\n---\nb: 2", "not readable"),
    "a bell": ("a: \a", "not readable"),
}


@pytest.mark.parametrize("name", BOMBS)
def test_what_takes_too_much_or_is_none(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text, why = BOMBS[name]
    path = tmp_path / "settings.yaml"
    path.write_text(text, encoding="utf-8")
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    with pytest.raises(AulightError, match=why) as caught:
        read_yaml(path)
    assert str(caught.value).startswith((f"{path}: not readable as YAML (", f"{path}: larger than "))
    assert len(str(caught.value)) < len(str(path)) + 260
    assert "\n" not in str(caught.value)
    assert time.process_time() - start < 10
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 500_000  # kB
    assert not Path("owned").exists()


@pytest.mark.parametrize("data", [b"a: \xe9", b"\xff\xfea\0:\0 \0b\0"])
def test_what_is_no_text(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(data)
    with pytest.raises(AulightError, match=r"a\.yaml: not readable as YAML"):
        read_yaml(path)


def test_what_cannot_be_opened(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nothing", tmp_path / "a\0b"):
        with pytest.raises(AulightError, match=r"cannot be read|where a file is needed|no such file"):
            read_yaml(path)


PLAIN = [
    "",
    "~",
    "5",
    "[1, 2.5, x, true, null]",
    "a: &a [1, 2]\nb: *a\nc: {d: *a}",
    "base: &base {x: 1}\nmore:\n  <<: *base\n  y: 2\nboth: {<<: [*base, {z: 3}], x: 4}",
    "a: 'é'\nb: |\n  two\n  lines\nc: 2026-01-31\nd: 1e-3\ne: .nan\nf: 0x1f",
    "\ufeffa: 1",
]


@pytest.mark.parametrize("text", PLAIN)
def test_plain_values_are_what_the_library_makes_of_them(text: str, tmp_path: Path) -> None:
    """Oracle: PyYAML's own reader, without the mark of a Windows editor."""
    path = tmp_path / "a.yaml"
    path.write_text(text, encoding="utf-8")
    assert repr(read_yaml(path)) == repr(yaml.safe_load(text.removeprefix("\ufeff")))


def test_what_we_write_is_read(tmp_path: Path) -> None:
    """PyYAML writes an alias for what is there twice, so they cannot be forbidden."""
    people = [f"S{number}" for number in range(3000)]
    path = tmp_path / "a.yaml"
    path.write_text(yaml.safe_dump({"train": people, "seen": people}))
    assert "*" in path.read_text()
    assert read_yaml(path) == {"train": people, "seen": people}


def test_texts_that_are_no_utf8_are_written_as_their_numbers(tmp_path: Path) -> None:
    """Names of files may be any bytes; libyaml refuses the signs that Python has for such, and so all of the file."""
    path, name, all_signs = tmp_path / "a.yaml", os.fsdecode(b"caf\xe9.mp4"), "".join(map(chr, range(0x3000)))
    write_yaml({"skipped": {name: f"/in/{name}: damaged", "é": all_signs}, "list": (name, 1, None, ())}, path)
    shown = "caf\\udce9.mp4"
    assert read_yaml(path) == {
        "skipped": {shown: f"/in/{shown}: damaged", "é": all_signs},
        "list": [shown, 1, None, []],
    }


def test_what_could_not_be_read_again_is_not_written(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    write_yaml({"a": 1}, path)
    with pytest.raises(AulightError, match=rf"a\.yaml: not readable as YAML.*more than {MOST_VALUES} values"):
        write_yaml({"a": [0] * (MOST_VALUES + 1)}, path)
    assert (read_yaml(path), list(tmp_path.iterdir())) == ({"a": 1}, [path])
