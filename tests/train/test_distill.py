"""The distillation loss against its definition."""

import numpy as np
import pytest
import torch

from toolchain.train.distill import mix, soft_loss
from toolchain.train.tasks import class_losses


def softmax(z):
    e = np.exp(z - z.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


@pytest.mark.parametrize("temperature", [1.0, 2.0, 5.0])
def test_soft_loss_is_t_squared_times_the_divergence(temperature):
    rng = np.random.default_rng(0)
    student, teacher = rng.normal(size=(2, 6, 4))
    p, q = softmax(teacher / temperature), softmax(student / temperature)
    expected = temperature**2 * (p * np.log(p / q)).sum(-1).mean()
    got = soft_loss(torch.from_numpy(student), torch.from_numpy(teacher), temperature)
    assert got.item() == pytest.approx(expected)


def test_no_loss_where_student_and_teacher_agree_up_to_a_constant():
    logits = torch.tensor([[1.0, -2.0, 3.0]])
    assert soft_loss(logits + 7, logits, 4.0).item() == pytest.approx(0, abs=1e-6)


def test_label_loss_is_minus_the_log_of_the_right_class():
    logits = torch.tensor([[0.0, np.log(3.0)]])  # softmax: 1/4, 3/4
    assert class_losses(logits, torch.tensor([0])).item() == pytest.approx(np.log(4))


def test_mix_takes_all_of_what_is_there():
    one, two = torch.tensor(1.0), torch.tensor(2.0)
    assert mix(one, two, 0.25).item() == pytest.approx(0.75 * 1 + 0.25 * 2)
    assert mix(one, None, 0.25) is one and mix(None, two, 0.25) is two
