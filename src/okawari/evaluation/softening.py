"""Probabilities that are never surer than the rows that taught them allow.

A model that has seen n records may put a probability of 1e-9 on a label; one such error costs more than all others
together, and a fit on all rows has no validation part that stops it. So every answer of labels alone is mixed with the
shares of the labels among the rows that taught it, with the weight 1 / (n + C): by Laplace's rule of succession, what
did not happen in n draws has about this probability in the next one. Numbers are not changed.

Shapes: B windows, H columns of an answer, C labels.
"""

from __future__ import annotations

import numpy as np

from okawari.case import Case
from okawari.models.combination import mix_predictions
from okawari.models.cores import CombinedCore, ConstantCore, Core
from okawari.models.windows import Floats, WindowSet


def soften_predictions(r_BH: Floats, taught: WindowSet, case: Case) -> Floats:
    """Predictions as they are answered, labels as logits; unchanged where an answer has numbers."""
    if not _is_label(case):
        return r_BH
    prior_BH = np.broadcast_to(_list_logits(taught), r_BH.shape)
    said_KBH = np.stack([r_BH.astype(np.float64), prior_BH])
    return mix_predictions(said_KBH, _weigh(taught), case.task.heads).astype(np.float32)


def soften_core(core: Core, taught: WindowSet, case: Case) -> Core:
    """The core whose graph answers softened probabilities; unchanged where an answer has numbers."""
    if not _is_label(case):
        return core
    return CombinedCore((core, ConstantCore(_list_logits(taught))), _weigh(taught))


def _is_label(case: Case) -> bool:
    return all(head.is_share for head in case.task.heads)


def _weigh(taught: WindowSet) -> tuple[float, float]:
    share = 1 / (len(taught) + taught.r_BH.shape[1])
    return 1 - share, share


def _list_logits(taught: WindowSet) -> np.ndarray:
    """Logarithms of the shares of the labels, each counted once more than it occurred."""
    counts_H = taught.r_BH.sum(axis=0, dtype=np.float64) + 1
    logits: np.ndarray = np.log(counts_H / counts_H.sum())
    return logits
