"""``aulight pretrain``: stage one, from unlabelled videos to a checkpoint."""

from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.callbacks import Callback, ModelCheckpoint

from aulight import protocol
from aulight.data.modules import ContrastiveData, open_data
from aulight.probe import Probe
from aulight.runs import Run
from aulight.stages.contrastive import ContrastiveStage
from aulight.training import duration, make_trainer, prepare_process, report_skipped, whole_epochs


def pretrain(cfg: DictConfig) -> None:
    """Runs stage one as configured, or what is left of it."""
    config: dict[str, Any] = OmegaConf.to_container(cfg, resolve=True, throw_on_missing=True)  # type: ignore[assignment]
    run = Run(Path(HydraConfig.get().runtime.output_dir), "pretrain", config)
    if run.done:
        print(f"{cfg.name}: already done ({run.folder})")
        return
    data = open_data(Path(cfg.data.root), config["data"]["synthetic"])
    run.check_data(data.fingerprint)
    split = protocol.own_split(data.videos, data.name)
    rows = data.rows(split.stage_one)
    epochs = whole_epochs(cfg.steps, cfg.steps_per_epoch)
    with run:
        prepare_process(cfg.threads, cfg.seed)
        run.update(
            seed=cfg.seed,
            dataset={"name": data.name, "fingerprint": data.fingerprint, "videos": len(rows)},
            protocol={"name": split.name, "stage_one": list(split.stage_one)},
        )
        stage = ContrastiveStage(config["model"], config["objective"], config["optim"])
        module = ContrastiveData(
            data,
            rows,
            config["clip"],
            config["augment"],
            views=cfg.objective.views,
            size=cfg.model.size,
            batch_size=cfg.loader.batch_size,
            steps_per_epoch=cfg.steps_per_epoch,
            workers=cfg.loader.workers,
            seed=cfg.seed,
            on_error=cfg.data.on_error,
        )
        callbacks: list[Callback] = [
            ModelCheckpoint(
                run.checkpoints,
                "step{step:06d}",
                auto_insert_metric_name=False,
                every_n_epochs=cfg.keep_every_epochs,
                save_top_k=-1,
            )
        ]
        if cfg.probe is not None:
            stride, on_error = cfg.clip.stride[0], cfg.data.on_error
            callbacks.append(Probe(data, split, stride, cfg.model.size, **config["probe"], on_error=on_error))
        trainer = make_trainer(run, config["trainer"], cfg.name, cfg.seed, epochs, cfg.progress_s, callbacks)
        trainer.fit(stage, module, ckpt_path=run.last, weights_only=True)
        for callback in callbacks:
            if isinstance(callback, Probe):
                module.skipped.update(callback.skipped)
        report_skipped(module.skipped)
        run.update(
            steps=int(trainer.global_step),
            skipped=dict(module.skipped),
            train={key: float(value) for key, value in trainer.callback_metrics.items()},
        )
    if trainer.is_global_zero:
        print(f"{cfg.name}: done in {duration(run.record['wall_s'])}, {run.checkpoints / 'last.ckpt'}")
