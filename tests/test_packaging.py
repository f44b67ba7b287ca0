"""What a user installs: the wheel in a bare environment, its configs, and the files beside the package."""

import ast
import functools
import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from email.message import Message
from email.parser import Parser
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import aulight
from aulight.data.video import opencv

ROOT = Path(__file__).parents[1]
CONF = ROOT / "conf"
PACKAGES = ("aulight", "hydra_plugins")  # Hydra finds its plugins in the second
OPENCV = {canonicalize_name(name) for name in opencv.PACKAGES}  # any may stand for the one that is named
COMMANDS = sorted(path.stem for path in CONF.glob("*.yaml"))
EXPERIMENTS = sorted(path.stem for path in (CONF / "experiment").glob("*.yaml"))


def run(command: Sequence[str | Path], cwd: Path, check: bool = True) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    if check:
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done


@dataclass
class Installed:
    """The wheel, and the environment that holds it and nothing else of the project."""

    wheel: Path
    python: Path
    folder: Path

    def aulight(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        return run([self.python.with_name("aulight"), *arguments], self.folder, check)


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    folder = tmp_path_factory.mktemp("packaging")
    # without --wheel: the wheel is made from the sdist, which must therefore have all it needs
    run([sys.executable, "-m", "build", "--no-isolation", "--outdir", folder / "dist", ROOT], folder)
    (wheel,) = (folder / "dist").glob("*.whl")
    run([sys.executable, "-m", "venv", "--without-pip", folder / "venv"], folder)
    python = folder / "venv" / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "--disable-pip-version-check"]
    run([*pip, "install", "--no-deps", "--no-index", wheel], folder)
    # The dependencies are this environment's. Folders named in a .pth file come last and their own .pth files
    # are not read, so that an editable aulight among them stays out of sight.
    (site,) = (folder / "venv" / "lib").glob("python*/site-packages")
    dependencies = [path for path in sys.path if path.endswith("site-packages")]
    (site / "dependencies.pth").write_text("\n".join(dependencies))
    return Installed(wheel, python, folder)


def test_wheel_holds_package_and_configs_only(installed: Installed) -> None:
    with zipfile.ZipFile(installed.wheel) as archive:
        names = set(archive.namelist())
    configs = {f"aulight/conf/{path.relative_to(CONF).as_posix()}" for path in CONF.rglob("*.yaml")}
    files = {path.relative_to(ROOT).as_posix() for folder in PACKAGES for path in (ROOT / folder).rglob("*.*")}
    files = {name for name in files if "__pycache__" not in name}
    assert {"aulight/__init__.py", *(f"aulight/report/page.{kind}" for kind in ("html", "css", "js"))} <= files
    assert {f"aulight/labelling/{name}" for name in ("page.html", "label.css", "label.js")} <= files
    assert configs | files <= names
    assert {name.split("/")[0] for name in names} == {*PACKAGES, f"aulight-{aulight.__version__}.dist-info"}
    assert not [name for name in names if "test" in name]


def test_installed_package_is_the_wheels(installed: Installed) -> None:
    code = "import aulight, aulight.runs.composed as composed; print(aulight.__file__); print(composed.conf_dir())"
    package, configs = run([installed.python, "-c", code], installed.folder).stdout.splitlines()
    assert Path(package).is_relative_to(installed.folder / "venv")
    assert Path(configs) == Path(package).parent / "conf"
    assert installed.aulight("--version").stdout.split() == ["aulight", aulight.__version__]


def test_help_lists_the_commands_without_heavy_imports(installed: Installed) -> None:
    shown = installed.aulight("--help").stdout
    assert all(re.search(rf"^ +{command} ", shown, re.MULTILINE) for command in COMMANDS)
    code = (
        "import sys\n"
        "from aulight.cli.main import main\n"
        "sys.argv = ['aulight', '--help']\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code\n"
        "print('imported:', *sorted({'torch', 'hydra', 'pandas', 'numpy', 'cv2'} & set(sys.modules)))"
    )
    assert run([installed.python, "-c", code], installed.folder).stdout.splitlines()[-1] == "imported:"


@pytest.mark.parametrize("command", COMMANDS)
def test_command_composes(installed: Installed, command: str) -> None:
    composed = yaml.safe_load(installed.aulight(command, "--cfg", "job", "--resolve").stdout)
    assert composed
    assert installed.aulight(command, "--help").stdout


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_experiment_composes(installed: Installed, experiment: str) -> None:
    """It goes with the commands that its comments name as ``aulight <command>``, otherwise with all of them."""
    text = (CONF / "experiment" / f"{experiment}.yaml").read_text()
    comments = " ".join(line for line in text.splitlines() if line.startswith("#"))
    assert "@package _global_" in comments
    taking = [command for command in COMMANDS if "experiment" in _groups(command)]
    commands = [command for command in taking if f"aulight {command}" in comments] or taking
    assert commands
    for command in commands:
        installed.aulight(command, f"experiment={experiment}", "--cfg", "job", "--resolve")


def test_sweeper_is_found(installed: Installed) -> None:
    """It refuses a sweep before anything is run; Hydra's own would run the first job."""
    sweep = ["finetune", "-m", "experiment=label_efficiency", "hydra/launcher=cores", "steps=50,0"]
    refused = installed.aulight(*sweep, check=False)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr == "aulight: steps=0: at least 1 is needed\n"


def test_every_group_option_composes(installed: Installed) -> None:
    cases = [
        (command, f"{group}={option.stem}")
        for command in COMMANDS
        for group in sorted(_groups(command) - {"experiment"})
        for option in sorted((CONF / group).glob("*.yaml"))
    ]
    assert cases
    code = (
        "from hydra import compose, initialize_config_dir\n"
        "from aulight.runs.composed import conf_dir\n"
        "with initialize_config_dir(str(conf_dir()), version_base='1.3'):\n"
        f"    for command, override in {cases!r}:\n"
        "        compose(command, [override])\n"
    )
    run([installed.python, "-c", code], installed.folder)


def _groups(command: str) -> set[str]:
    defaults = yaml.safe_load((CONF / f"{command}.yaml").read_text()).get("defaults", [])
    keys = {key for entry in defaults if isinstance(entry, dict) for key in entry}
    return {key for key in keys if not key.startswith("override ")}


def _metadata(installed: Installed) -> Message:
    with zipfile.ZipFile(installed.wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return Parser().parsestr(archive.read(name).decode())


def _requirements(installed: Installed) -> list[Requirement]:
    return [Requirement(line) for line in _metadata(installed).get_all("Requires-Dist", [])]


def test_extras(installed: Installed) -> None:
    extras = set(_metadata(installed).get_all("Provides-Extra", []))
    assert extras == {"faces", "avatars", "sweep", "label", "cluster", "s3", "elan", "export", "notebooks", "dev"}


def test_every_import_is_a_declared_dependency(installed: Installed) -> None:
    declared = {canonicalize_name(requirement.name) for requirement in _requirements(installed)}
    distributions = importlib.metadata.packages_distributions()
    for path in (path for folder in PACKAGES for path in (ROOT / folder).rglob("*.py")):
        for module in _imports(path) - sys.stdlib_module_names - {"aulight"}:
            owners = {canonicalize_name(name) for name in distributions.get(module, [module])}
            if owners & OPENCV:
                owners |= OPENCV
            assert owners & declared, f"{path}: imports {module}, which pyproject.toml does not name"


def test_one_package_brings_opencv() -> None:
    """In this environment, which `make install` made; two would lie over each other, by the order of installation."""
    assert len(set(importlib.metadata.packages_distributions()["cv2"])) == 1


def _imports(path: Path) -> set[str]:
    modules: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            modules |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            modules.add(node.module.split(".")[0])
    return modules


def test_constraints_pin_every_dependency_within_its_bounds(installed: Installed) -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = dict(_pin(line) for line in lines if line and not line.startswith("#"))
    assert pins["torch"] == "2.13.0"  # no local suffix: the same pin gives the CPU and the CUDA build
    for requirement in _requirements(installed):
        assert requirement.specifier.contains(pins[canonicalize_name(requirement.name)]), requirement


def _pin(line: str) -> tuple[str, str]:
    name, version = line.split("==")
    return canonicalize_name(name), version


def test_citation() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert {"cff-version", "message", "title", "authors", "license", "version"} <= citation.keys()
    assert citation["version"] == aulight.__version__
    paper = citation["preferred-citation"]
    names = [author["family-names"] for author in paper["authors"]]
    assert names == ["Sanchez", "Bulat", "Zaganidis", "Tzimiropoulos"]
    assert paper["year"] == 2020


needs_make = pytest.mark.skipif(shutil.which("make") is None, reason="no make")


@functools.cache
def _targets() -> list[str]:
    lines = (ROOT / "Makefile").read_text().replace("\\\n", "")
    listed = re.search(r"^\.PHONY: (.*)$", lines, re.MULTILINE)
    assert listed is not None
    return listed[1].split()


@needs_make
def test_make_help_lists_every_target(tmp_path: Path) -> None:
    shown = run(["make", "-C", ROOT], tmp_path).stdout
    listed = re.findall(r"^  ([a-z0-9-]+)  +\S", shown, re.MULTILINE)
    assert listed == _targets()
    assert {"reproduce", "smoke", "test", "check", "bench", "report"} <= set(listed)


@needs_make
@pytest.mark.parametrize("target", _targets())
def test_make_target_expands(target: str, tmp_path: Path) -> None:
    """From any folder, and in a clone that has not been installed yet."""
    planned = run(["make", "-C", ROOT, "-n", target, f"VENV={tmp_path / 'venv'}"], tmp_path).stdout
    installs = "-m pip install -c constraints.txt" in planned
    assert installs == (target not in ("help", "clean"))


@needs_make
def test_make_install_brings_one_opencv(tmp_path: Path) -> None:
    """That of albumentations, after any other is gone; mediapipe, which would bring one, comes alone."""
    planned = run(["make", "-C", ROOT, "-n", "install", f"VENV={tmp_path / 'venv'}"], tmp_path).stdout.splitlines()
    pip = [line.partition(" -m pip ")[2] for line in planned if " -m pip " in line]
    assert pip == [
        "uninstall -qy opencv-contrib-python opencv-python 2>/dev/null",
        'install -c constraints.txt -e ".[faces,avatars,sweep,label,cluster,elan,export,s3,dev]"',
        "install -c constraints.txt --no-deps mediapipe",
    ]


@needs_make
def test_make_refuses_an_old_python(tmp_path: Path) -> None:
    old = tmp_path / "python"
    old.write_text('#!/bin/sh\n[ "$1" = --version ] && echo Python 3.8.1 || exit 1\n')
    old.chmod(0o755)
    arguments = [f"PYTHON={old}", f"VENV={tmp_path / 'venv'}"]
    done = run(["make", "-C", ROOT, "install", *arguments], tmp_path, check=False)
    assert done.returncode != 0
    assert "Python 3.8.1" in done.stderr
    assert not (tmp_path / "venv").exists()
