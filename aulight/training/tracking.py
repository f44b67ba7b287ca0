"""A run's page on Weights & Biases. Nothing that goes wrong with it, or with the way there, touches the run."""

import contextlib
import math
import netrc
import os
import secrets
import shlex
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from http.client import HTTPException
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pandas as pd
from lightning_fabric.utilities.rank_zero import rank_zero_only
from pytorch_lightning.loggers import Logger

from aulight.data.store import PreparedDataset
from aulight.errors import one_line
from aulight.facs import AU_NAMES
from aulight.files import scratch
from aulight.runs.record import BegunFinetune, complete
from aulight.runs.run import Run
from aulight.scoring.agreement import METRICS
from aulight.settings.logger import CsvSettings, WandbSettings
from aulight.training.media import draw

ANSWER_S = 5
"""Seconds to wait for an answer of the server before a run."""

START_S = 20
"""Seconds that the start may take once it has answered."""

UPLOAD_S = 120
"""Seconds to wait at the end of a run for what is not uploaded yet."""

_COLUMNS = ("command", "arm", "fold", "label_fraction", "labelled_frames", "label_seed", "seed", "versions", "git")


class Tracker(Logger):
    """Logs a run to Weights & Biases, online or into its own directory; does nothing with ``logger=csv``.

    As a context manager it finishes the page in every outcome, so that the next job of a sweep has its own. The page is
    opened with the first row, so that a run that is refused leaves none behind. Its id is in ``run.yaml``: a run that
    goes on goes on there. Steps are steps of the optimiser, and a row that is there already (a resumed run repeats
    those since its checkpoint) is not logged again.

    Args:
        run: The run, whose record says already what becomes a column.
        settings: Those of ``logger``.
    """

    def __init__(self, run: Run, settings: CsvSettings | WandbSettings) -> None:
        super().__init__()
        self._record = run
        self._page: Any = None
        self._asked = False
        self._failed = False
        self._settings = settings

    @property
    def name(self) -> str:
        """The run's name."""
        return self._record.record.name

    @property
    def version(self) -> str:
        """The page's id."""
        return self._record.record.wandb_id or ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._page is None:
            return
        page, self._page = self._page, None
        code = 0 if kind is None else 1 if issubclass(kind, Exception) else 130  # the shell's own for Ctrl-C
        try:
            page.finish(exit_code=code)
        except TimeoutError:
            self._record.say(f"W&B: not all is uploaded; {_sync(page)} does the rest")
        except Exception as wrong:
            self._give_up(wrong)
        with contextlib.suppress(Exception):  # of a service that is gone; left to the interpreter's exit it would show
            _wandb().teardown()

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Adds scalars to the row of a step."""
        self._attempt(lambda page: page.log(dict(metrics), step=step))

    def log_hyperparams(self, *args: Any, **kwargs: Any) -> None:
        """Nothing: the whole configuration is there from the start."""

    def results(self, data: PreparedDataset, table: pd.DataFrame, scores: Mapping[str, float], step: int) -> None:
        """What stage two ends with: scores as tables and as the run's summary, curves, and a video of a face.

        Args:
            data: The dataset.
            table: The predictions, as in ``predictions.parquet``.
            scores: Of the chosen network, named as in :func:`aulight.scoring.scores.named`.
            step: The last one.
        """
        if self._settings.kind != "wandb":
            return
        import wandb

        def tables(page: Any) -> None:
            page.summary.update(dict(scores))
            rows = pd.DataFrame({"AU": data.columns, "name": [AU_NAMES.get(au, "") for au in data.aus]})
            for part in ("val", "test"):
                for metric in METRICS:  # of which a run that an earlier aulight began may lack some
                    rows[metric] = [scores.get(f"{part}/{metric}_{au}", math.nan) for au in data.columns]
                page.log({f"{part}/per_au": wandb.Table(dataframe=rows)}, step=step)

        def media(page: Any) -> None:
            record = complete(self._record.record, BegunFinetune, self._record.folder)
            with scratch(self._record.folder) as folder:
                curves, video = draw(data, table, record, folder)
                page.log(
                    {
                        "test/timelines": [wandb.Image(str(path)) for path in curves],
                        "test/face": wandb.Video(str(video), format="mp4"),
                    },
                    step=step,
                )

        self._attempt(tables)
        if self._settings.media:
            self._attempt(media)

    def _open(self, settings: WandbSettings) -> None:
        wandb = _wandb()
        run = self._record
        mode = os.environ.get("WANDB_MODE", "online") if settings.mode == "auto" else settings.mode
        if mode == "disabled":
            return
        run.update(wandb_id=run.record.wandb_id or secrets.token_hex(4))
        record, dataset = run.record, run.record.dataset
        assert dataset is not None  # the run has said it before
        columns = {name: value for name, value in record.plain().items() if name in _COLUMNS}
        columns |= {"dataset": dataset.name, "fingerprint": dataset.fingerprint}
        start: dict[str, Any] = {
            "dir": run.folder,
            "project": settings.project,
            "entity": settings.entity,
            "group": (settings.group or "/".join(run.folder.parts[-3:-1]))[:128],
            "job_type": record.command,
            "name": self.name,
            "id": self.version,
            "tags": settings.tags or [],
            "config": {**record.config, **columns},
            "resume": "allow",
            "reinit": "create_new",  # never another job's page
            "settings": wandb.Settings(
                silent=True,
                console="off",
                disable_git=True,  # run.yaml has the revision
                init_timeout=START_S,
                finish_timeout=UPLOAD_S,
                finish_timeout_raises=True,
            ),
        }
        reason = "asked for" if mode in ("offline", "dryrun") else unreachable()
        if reason is None:
            try:
                self._page = wandb.init(**start, mode="online")
            except Exception as error:
                reason = one_line(error) or type(error).__name__
                wandb.teardown()  # it still holds the id
            else:
                run.say(f"W&B: {self._page.url}")
        if reason is not None:
            self._page = wandb.init(**start, mode="offline")
            run.say(f"W&B is offline ({reason}); to upload the run: {_sync(self._page)}")

    def _attempt(self, action: Callable[[Any], None]) -> None:
        if not self._asked and self._settings.kind == "wandb" and getattr(rank_zero_only, "rank", 0) == 0:
            self._asked = True
            try:
                self._open(self._settings)
            except Exception as error:
                self._give_up(error)
        if self._page is not None and not self._failed:
            try:
                action(self._page)
            except Exception as error:
                self._give_up(error)

    def _give_up(self, error: Exception) -> None:
        if not self._failed:
            self._failed = True
            self._record.say(f"W&B: {one_line(error) or type(error).__name__}; the run goes on without it")


def unreachable() -> str | None:
    """Why nothing can be sent to Weights & Biases; ``None`` where there is a key and the server answers.

    Takes :data:`ANSWER_S` seconds at most, however name servers and proxies behave.
    """
    settings = _wandb().setup().settings
    url = str(settings.base_url)
    if not (settings.api_key or settings.identity_token_file or _in_netrc(url)):
        return "no key: set WANDB_API_KEY or run `wandb login`"
    answers: list[bool] = []

    def ask() -> None:
        try:
            urllib.request.urlopen(url, timeout=ANSWER_S).close()
            answers.append(True)
        except urllib.error.HTTPError as error:
            answers.append(error.code < 500)  # a proxy's word for a server that it cannot reach
        except (OSError, HTTPException, ValueError):  # no way there, no sensible answer, no address
            answers.append(False)

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(ANSWER_S)
    return None if any(answers) else f"no answer from {url}"


def _wandb() -> Any:
    """The package, told to keep to itself."""
    os.environ.setdefault("WANDB_ERROR_REPORTING", "false")  # else it sends its own errors to its makers, offline too
    import wandb

    wandb.setup(wandb.Settings(silent=True))
    return wandb


def _in_netrc(url: str) -> bool:
    try:
        hosts = netrc.netrc(os.environ.get("NETRC") or Path.home() / ".netrc").hosts
    except (OSError, netrc.NetrcParseError):
        return False
    return urllib.parse.urlsplit(url).hostname in hosts


def _sync(page: Any) -> str:
    return f"wandb sync {shlex.quote(str(page.settings.sync_dir))}"
