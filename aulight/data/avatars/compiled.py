"""Loops over pixels, triangles and points, compiled by numba: the only place that knows it."""

from collections.abc import Callable
from typing import Any, TypeVar, cast

from aulight.errors import AulightError

Function = TypeVar("Function", bound=Callable[..., Any])


def compiled(function: Function) -> Function:
    """Compiles a function at its first call, and keeps the result for other processes.

    Raises:
        AulightError: Without numba.
    """
    try:
        import numba
    except ImportError as error:
        raise AulightError('avatars need numba: pip install "aulight[avatars]"') from error
    faster = {"contract", "arcp", "nsz"}  # no freedom to sum in another order, none to take NaN for impossible
    return cast(Function, numba.njit(cache=True, nogil=True, fastmath=faster, error_model="numpy")(function))
