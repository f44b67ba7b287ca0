"""A loss that asks for the amplitude of what is predicted: Lin's concordance correlation over a batch.

The squared error pays for predictions that vary less than the labels, the more so the less is known, and agreement
(ICC, CCC) punishes just that.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

LEAST_LABELS = 5
"""Labels of an action unit in a batch below which its variance is not asked for."""


def concordance_regression(outputs: Tensor, targets: Tensor, mask: Tensor, share: float) -> Tensor:
    r"""Squared error mixed with ``1 - CCC`` (Lin 1989, https://doi.org/10.2307/2532051), by action unit.

    Of predictions x and labels y of one action unit, with the variances and the covariance of all of them (not of a
    sample)::

        CCC = 2 cov(x, y) / (var(x) + var(y) + (mean(x) - mean(y))^2)
        loss = (1 - share) MSE + share (1 - CCC)

    An action unit with fewer than :data:`LEAST_LABELS` known labels, or whose known labels are all alike, counts by its
    MSE alone. The mean over action units is weighed by their known labels, so that a share of 0 is the mean squared
    error over all of them.

    It is a statistic of all that it is given: under DDP give the rows of all processes (:func:`gather_with_grad`), and
    every process the same loss. It is float32 also under autocast.

    Args:
        outputs: `(..., A)`, standardised or not: the CCC is the same.
        targets: The same shape; anything, NaN included, where unknown.
        mask: The same shape, bool; True where the target is known.
        share: Of ``1 - CCC``, in 0..1.

    Returns:
        Scalar float32; 0, with gradient 0 for every output, where nothing is known.
    """
    with torch.autocast(outputs.device.type, enabled=False):
        mask, x = (part.flatten(0, -2) for part in (mask, outputs.float()))  # (N, A)
        # Unknown entries become equal pairs before anything sees them: a NaN there would spoil the gradient.
        y = torch.where(mask, targets.float().flatten(0, -2), x.detach())
        labels = mask.sum(0)
        count = labels.clamp(min=1)
        squared = F.mse_loss(x, y, reduction="none").sum(0) / count
        highest, lowest = (
            torch.where(mask, y, end).detach() for end in (y.new_tensor(-torch.inf), y.new_tensor(torch.inf))
        )
        varied = (labels >= LEAST_LABELS) & (highest.amax(0) > lowest.amin(0))
        mean_x, mean_y = (torch.where(mask, part, 0.0).sum(0) / count for part in (x, y))
        off_x, off_y = torch.where(mask, x - mean_x, 0.0), torch.where(mask, y - mean_y, 0.0)
        spread = (off_x.square() + off_y.square()).sum(0) / count + (mean_x - mean_y).square()
        # no division by 0 where the labels do not vary: its gradient would be NaN, used or not
        apart = 1 - 2 * (off_x * off_y).sum(0) / count / torch.where(varied, spread, 1.0)
        of_unit = torch.where(varied, torch.lerp(squared, apart, share), squared)
        return (of_unit * labels).sum() / labels.sum().clamp(min=1)
