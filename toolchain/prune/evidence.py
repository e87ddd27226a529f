"""What importance may look at besides the weights: samples, and what the network's task is."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from toolchain.data import Samples

if TYPE_CHECKING:
    import torch

Loss = Callable[[Mapping[str, "torch.Tensor"], np.ndarray], "torch.Tensor"]
"""(tensor name -> (n, ...), positions (n,) of the samples) -> loss of each sample (n,); differentiable."""


@dataclass(frozen=True, eq=False)
class Evidence:
    """samples: fit to the graph, disjoint from those of selection and test
    outputs: names of the tensors that the loss is made of, such as logits before a softmax
    loss:    of each sample
    has_gradient: False where the loss holds numbers of the network against themselves, so that their part of
             it is 0 with all its first derivatives
    """

    samples: Samples
    outputs: tuple[str, ...]
    loss: Loss
    has_gradient: bool = True
