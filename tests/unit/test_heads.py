"""What heads mean for numbers: losses and slopes against naive ones, and against torch."""

from __future__ import annotations

import numpy as np
import pytest

from okawari.models.losses import differentiate_loss, joint_loss, to_logits
from okawari.schema.heads import LabelHead, NumberHead, mark_shares

HEADS = (
    LabelHead(name="first", start=0, words=("a", "b", "c")),
    NumberHead(name="number", start=3),
    LabelHead(name="last", start=4, words=("d", "e")),
)


@pytest.fixture
def said_BH() -> np.ndarray:
    return np.random.default_rng(1).normal(0, 2, (8, 6))


@pytest.fixture
def true_BH() -> np.ndarray:
    random = np.random.default_rng(2)
    labels = np.eye(3)[random.integers(0, 3, 8)], np.eye(2)[random.integers(0, 2, 8)]
    return np.concatenate([labels[0], random.normal(size=(8, 1)), labels[1]], axis=1)


def test_columns_of_labels_are_those_of_heads_with_labels() -> None:
    np.testing.assert_array_equal(mark_shares(HEADS, 6), [True, True, True, False, True, True])
    assert not mark_shares((), 6).any()


def test_shares_become_logits_that_a_softmax_turns_back_and_numbers_pass() -> None:
    said_BH = to_logits(np.array([[0.2, 0.8, -3.0], [0.0, 1.0, 4.0]]), np.array([True, True, False]))
    np.testing.assert_allclose(np.exp(said_BH[0, :2]), [0.2, 0.8])
    assert np.exp(said_BH[1, 0]) == pytest.approx(1e-6)
    np.testing.assert_array_equal(said_BH[:, 2], [-3.0, 4.0])


def test_the_loss_is_that_of_the_torch_loop(said_BH: np.ndarray, true_BH: np.ndarray) -> None:
    import torch

    from okawari.models import torch_training

    class Said(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("out_scale", torch.ones(6))

        def forward(self, taken: torch.Tensor) -> torch.Tensor:
            return taken

    for heads in (HEADS, ()):
        by_torch = torch_training.joint_loss(Said(), (torch.tensor(said_BH), torch.tensor(true_BH).float()), heads)
        assert joint_loss(said_BH, true_BH, heads) == pytest.approx(by_torch.item(), rel=1e-5)


def test_slopes_are_those_of_the_loss_by_small_steps(said_BH: np.ndarray, true_BH: np.ndarray) -> None:
    slope_BH, _ = differentiate_loss(said_BH, true_BH, HEADS)
    for column in range(6):
        step = np.zeros(6)
        step[column] = 1e-5
        rise = joint_loss(said_BH + step, true_BH, HEADS) - joint_loss(said_BH - step, true_BH, HEADS)
        halved = 2 if column == 3 else 1  # of numbers half the squared error is what falls
        assert slope_BH[:, column].mean() == pytest.approx(rise / 2e-5 / halved, rel=1e-4, abs=1e-8)


def test_no_direction_is_more_curved_than_what_stands_for_the_curvature(
    said_BH: np.ndarray, true_BH: np.ndarray
) -> None:
    _, curve_BH = differentiate_loss(said_BH, true_BH, HEADS)
    np.testing.assert_array_equal(curve_BH[:, 3], 1.0)
    for said, curve in zip(said_BH[:, :3], curve_BH[:, :3], strict=True):
        share = np.exp(said) / np.exp(said).sum()
        hessian = np.diag(share) - np.outer(share, share)
        assert np.linalg.eigvalsh(np.diag(curve) - hessian).min() > -1e-12
