"""The optimiser both stages use."""

import math
from typing import Any

import torch

from aulight.settings.training import OptimSettings


def one_cycle(groups: list[dict[str, Any]], steps: int, optim: OptimSettings) -> dict[str, Any]:
    """AdamW (Loshchilov & Hutter, 2019) under a one-cycle schedule (Smith & Topin, 2018), stepped every batch.

    Args:
        groups: Parameter groups, each with its own peak ``lr``.
        steps: Optimiser steps of the whole run.
        optim: Its ``weight_decay`` and ``warmup`` are used.

    Returns:
        What Lightning's ``configure_optimizers`` wants.
    """
    groups = [{**group, "params": [p for p in group["params"] if p.requires_grad]} for group in groups]
    groups = [group for group in groups if group["params"]]
    optimizer = torch.optim.AdamW(groups, weight_decay=optim.weight_decay, foreach=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer,
        [group["lr"] for group in groups],
        total_steps=steps,
        # from the first step to the first step there is no rise, and torch would divide by its length
        pct_start=0.0 if math.isclose(optim.warmup * steps, 1) else optim.warmup,
    )
    return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}
