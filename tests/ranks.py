"""Two processes on one machine that share gradients, as tests have them."""

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

WAIT = timedelta(minutes=5)
"""After which a process that hears nothing of the other one fails, and says where."""


@contextmanager
def one_of_two(rank: int, folder: Path) -> Iterator[None]:
    """This process beside the other one that opens the same folder."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", f"file://{folder / 'store'}", world_size=2, rank=rank, timeout=WAIT)
    yield
    gc.collect()  # as with the wrapper below: nothing but the group itself may hold the group when it ends
    dist.destroy_process_group()


def shared_gradients(module: nn.Module, loss_of: Callable[[Any], Tensor], steps: int = 1) -> Tensor:
    """Leaves the module with gradients of both processes, and returns this one's loss in the last of some equal steps.

    The wrapper is gone before the group: where it drops the group last, it waits for the group's threads and holds
    Python's lock, for which one of them may be waiting; both then wait for ever, once in some ten times.
    """
    net = DistributedDataParallel(module)
    for _ in range(steps):
        module.zero_grad()
        loss = loss_of(net)
        torch.autograd.backward(loss)
    return loss.detach()
