"""Nothing that is read can run code: no pickles, no YAML with tags, no weights but as tensors; read from the source."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = sorted([*(ROOT / "aulight").rglob("*.py"), *(ROOT / "hydra_plugins").rglob("*.py")])

MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve", "_pickle"}
"""None is imported: what they read runs."""

BUILTINS = {"eval", "exec", "compile", "__import__"}
METHODS = {"read_pickle", "to_pickle", "unsafe_load", "full_load", "unsafe_load_all", "full_load_all"}

ALLOWED = {
    ("aulight/foreign/yaml.py", "yaml.load"),
    ("aulight/foreign/checkpoint.py", "torch.load"),
    ("aulight/runs/own_files.py", "OmegaConf.load"),  # with a safe loader: Hydra's own way to read a user's files
    ("aulight/data/kept.py", "np.load"),  # maps arrays of numbers
}
"""The one place for each; every other reader goes there."""


def _called(node: ast.Call) -> str:
    """``torch.load`` for ``torch.load(...)``, and ``().load`` of something that was computed."""
    names = []
    function: ast.expr = node.func
    while isinstance(function, ast.Attribute):
        names.append(function.attr)
        function = function.value
    return ".".join(reversed([*names, function.id if isinstance(function, ast.Name) else "()"]))


def _calls(path: Path) -> Iterator[tuple[str, ast.Call]]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            yield _called(node), node


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_code_is_read(path: Path) -> None:
    place = path.relative_to(ROOT).as_posix()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            assert not {alias.name.split(".")[0] for alias in node.names} & MODULES
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            assert node.module.split(".")[0] not in MODULES
    for name, node in _calls(path):
        last = name.rpartition(".")[2]
        options = {option.arg: getattr(option.value, "value", None) for option in node.keywords}
        assert name not in BUILTINS, f"line {node.lineno}: {name}"
        assert last not in METHODS, f"line {node.lineno}: {name}"
        assert options.get("allow_pickle", False) is False, f"line {node.lineno}: {name}"
        if name in ("torch.load", "yaml.load", "yaml.safe_load", "np.load", "numpy.load", "OmegaConf.load"):
            assert (place, name) in ALLOWED, f"line {node.lineno}: {name}"
        if name == "torch.load":
            assert options.get("weights_only") is True
        if last in ("fit", "validate", "test") and "ckpt_path" in options:  # Lightning's own reader
            assert options.get("weights_only") is True, f"line {node.lineno}: {name}"


def test_yaml_is_read_by_a_safe_loader() -> None:
    import yaml

    from aulight.foreign.yaml import _LOADER

    assert issubclass(_LOADER, yaml.CSafeLoader | yaml.SafeLoader)
