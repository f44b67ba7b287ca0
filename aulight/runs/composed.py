"""From the files in ``conf/`` and what was typed to the settings of a command; Hydra does the composing."""

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, Self

from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import configure_log
from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from aulight.errors import AulightError
from aulight.runs.equal_compute import equal_steps
from aulight.runs.machine import is_first
from aulight.runs.overrides import misread, own_folders, quoted_text, typed_overrides
from aulight.runs.own_files import file_with
from aulight.runs.record import read_record
from aulight.runs.references import refuse_growth
from aulight.settings.commands import settings_of
from aulight.settings.group import Group
from aulight.settings.model import DEFAULT
from aulight.settings.reading import read
from aulight.settings.walk import nodes

OWN_CONF = ("predict",)
"""Commands whose configuration is a folder of its own, where ``model`` is a path and not a group."""


def conf_dir(command: str = "") -> Path:
    """The configuration folder, of a command: inside the installed package, or beside it in a checkout."""
    package = Path(__file__).parents[1]
    conf = package / "conf" if (package / "conf").is_dir() else package.parent / "conf"
    return conf / command if command in OWN_CONF else conf


def register_resolvers() -> None:
    """Makes the interpolations of our own known that files in ``conf/`` use."""
    OmegaConf.register_new_resolver("if_pretrained", _if_pretrained, replace=True)
    OmegaConf.register_new_resolver("taught", _taught, replace=True)
    OmegaConf.register_new_resolver("labels", _labels, replace=True)
    OmegaConf.register_new_resolver("equal_steps", equal_steps, replace=True)


def _if_pretrained(yes: Any, no: Any, boxed: Any = None, *, _root_: Any) -> Any:
    """``${if_pretrained:yes,no}`` in a config: one value on top of stage one, another from scratch.

    A third is that on top of the model in the box; where there is none, it is the first.
    """
    if _root_.pretrained == DEFAULT and boxed is not None:
        return boxed
    return no if _root_.pretrained is None else yes


def _taught(arm: str, *, _root_: Any) -> str:
    """``${taught:arm}`` in a config: another name for a run that has teachers, which is not pooled with others."""
    return arm if _root_.pseudo.runs is None else f"{arm}_taught"


def _labels(*, _root_: Any) -> Any:
    """``${labels:}`` in a run's name: the share of labels that is asked for, or their number, as ``50frames``.

    0.1.0 called any number ``None``: a run of that name that had this number goes on as it is called.
    """
    if _root_.label_count is None or _root_.label_fraction is not None:
        return _root_.label_fraction
    before = Path(f"{_root_.root}/{_root_.data.name}-fold{_root_.fold}-{_root_.arm}-None-seed{_root_.seed}")
    try:
        record = read_record(before.expanduser())
    except AulightError:
        record = None
    is_it = record is not None and record.config.get("label_count") == _root_.label_count
    return None if is_it else f"{_root_.label_count}frames"


def check_choices(command: str, overrides: Sequence[str]) -> None:
    """Refuses what Hydra would take for no choice of a group: ``model=null``, ``data=5``.

    Args:
        command: One of the commands.
        overrides: As typed.

    Raises:
        AulightError: With the choices that there are.
    """
    for override in overrides:
        key, _, value = override.partition("=")
        folder = _group(command, key)
        if folder is not None and re.fullmatch(r"null|true|false|[\d.]*", value, re.I):
            choices = ", ".join(sorted(path.stem for path in folder.glob("*.yaml")))
            raise AulightError(
                f"{override}: one of {choices} is needed" if choices else f"{override}: a choice is needed"
            )


@contextmanager
def composed(command: str, overrides: Sequence[str], folder: str | None = None) -> Iterator[DictConfig]:
    """A command's configuration as Hydra composes it for a single run, of which nothing is written.

    In the block, :class:`HydraConfig` tells what it tells in a run, but for the run's folder.

    Args:
        command: One of the commands.
        overrides: As typed: ``key=value`` and ``group=choice``.
        folder: A further folder of configurations, as ``--config-dir`` gives it.
    """
    further = [] if folder is None else [f"hydra.searchpath=[{quoted_text(str(Path(folder).absolute()))}]"]
    with initialize_config_dir(str(conf_dir(command)), job_name=command, version_base="1.3"):
        whole = compose(command, [*overrides, *further], return_hydra_config=True)
        refuse_growth(whole)
        before = HydraConfig.instance().cfg
        HydraConfig.instance().set_config(whole)
        try:
            yield without_hydra(whole)
        finally:
            HydraConfig.instance().cfg = before


class Composed(NamedTuple):
    """A composed configuration of a run that has a folder, with Hydra's part of it.

    Attributes:
        folder: The run directory.
        overrides: The settings as they were typed, as Hydra takes them.
        config: The configuration.
        hydra: Hydra's part.
    """

    folder: Path
    overrides: tuple[str, ...]
    config: DictConfig
    hydra: DictConfig

    @classmethod
    def now(cls, config: DictConfig) -> Self:
        """That of a block of :func:`composed`."""
        folder = Path(os.path.abspath(str(HydraConfig.get().run.dir)))  # noqa: PTH100  # links stay
        whole: Any = HydraConfig.instance().cfg
        return cls(folder, tuple(typed_overrides()), config, whole)

    def configure_logging(self) -> None:
        """Has Python's loggers print what, and where, the configuration says."""
        configure_log(self.hydra.hydra.job_logging, self.hydra.hydra.verbose)

    def keep(self) -> None:
        """Writes it into the run directory, as Hydra does, unless it is there already."""
        where = self.hydra.hydra.output_subdir
        if where is None or not is_first(OmegaConf.select(self.config, "trainer.num_nodes", default=1)):
            return
        with read_write(self.hydra.hydra.runtime), open_dict(self.hydra.hydra.runtime):
            self.hydra.hydra.runtime.output_dir = str(self.folder)
        whole = OmegaConf.masked_copy(self.hydra, ["hydra"])
        place = self.folder / where
        place.mkdir(parents=True, exist_ok=True)
        for name, part in (
            ("config", self.config),
            ("hydra", whole),
            ("overrides", OmegaConf.create([*self.overrides])),
        ):
            text, file = OmegaConf.to_yaml(part), place / f"{name}.yaml"
            if not file.exists() or file.read_text(encoding="utf-8", errors="replace") != text:
                file.write_text(text, encoding="utf-8", errors="backslashreplace")


def without_hydra(whole: DictConfig) -> DictConfig:
    """A composed configuration without Hydra's own part of it."""
    return OmegaConf.masked_copy(whole, [str(key) for key in whole if key != "hydra"])


def settings_from(command: str, config: DictConfig) -> Group:
    """The settings that a composed configuration gives.

    A variable that a file of the user's own experiment brings in, for other settings to be made of, is no setting.

    Args:
        command: One of the commands.
        config: The configuration, while :class:`HydraConfig` still tells what was chosen for it.

    Raises:
        AulightError: For a setting that does not exist, is missing, or has a value that it does not take.
    """
    for override in typed_overrides():
        if empty := re.fullmatch(r"\+{0,2}([\w.]+)=\{\s*\}", override):
            raise AulightError(f"{empty[1]}={{}}: changes nothing; settings in it are needed, as {empty[1]}.<name>=...")
    raw: Any = OmegaConf.to_container(config, resolve=False)
    for name, value in misread(command, raw):
        raise AulightError(f"{file_with(name, value)}{name}: {value} is no text; in the file, put it in quotes")
    plain: dict[str, Any] = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)  # type: ignore[assignment]
    settings = settings_of(command)
    if variables := plain.keys() - settings.model_fields:
        variables &= _named_by_files(command)
        if lost := sorted(variables & names_of(command)):
            raise AulightError(f"{lost[0]}: a file of yours brings it in; its first line must be '# @package _global_'")
    return read(settings, {key: value for key, value in plain.items() if key not in variables})


def _named_by_files(command: str) -> set[str]:
    """What the files that were chosen give a value to, apart from what was typed."""
    typed = typed_overrides()
    chosen = [override for override in typed if _group(command, override.lstrip("+~").partition("=")[0]) is not None]
    return {str(key) for key in compose(command, [*chosen, *own_folders()])}


def _group(command: str, key: str) -> Path | None:
    """The folder of choices that a key stands for; ``None`` for a setting."""
    folder = conf_dir(command) / key
    return folder if re.fullmatch(r"[\w/]+", key) and folder.is_dir() else None


def names_of(command: str) -> set[str]:
    """The settings of a command and its groups of choices, as they are typed."""
    groups = {path.name for path in conf_dir(command).iterdir() if path.is_dir()}
    return {setting.name for setting in nodes(settings_of(command))} | (groups - {"hydra"})
