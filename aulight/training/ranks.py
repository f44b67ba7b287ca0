"""What the processes of a run tell each other; one that is alone has its own."""

from typing import Any, TypeVar

import torch.distributed as dist

Value = TypeVar("Value")


def of_all(value: Value) -> list[Value]:
    """A value of every process, in the order of their ranks; all have to ask.

    Args:
        value: This process's; anything that can be pickled.
    """
    if not (dist.is_available() and dist.is_initialized()):
        return [value]
    values: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(values, value)
    return values


def to_first(value: Value) -> list[Value]:
    """The same for the first process alone; none for the others.

    Args:
        value: As of :func:`of_all`.
    """
    if not (dist.is_available() and dist.is_initialized()):
        return [value]
    values: list[Any] = [None] * dist.get_world_size() if dist.get_rank() == 0 else []
    dist.gather_object(value, values or None)
    return values
