"""Weights that share values keep sharing them while they are trained: values move, weights stay with them."""

from collections.abc import Mapping
import hashlib

import torch

from toolchain.prune.cluster import Shares
from toolchain.runtime.additions import Addition
from toolchain.runtime.torch_module import GraphModule


class Sharing(Addition):
    """The gradient of a value is the sum of its weights' (Han et al. 2016, equation 3); 0 stays.

    shares: weight -> which of them share what
    """

    def __init__(self, shares: Mapping[str, Shares]):
        self.index = {name: torch.from_numpy(share.index.reshape(-1)) for name, share in shares.items()}
        self.counts = {name: torch.bincount(index) for name, index in self.index.items()}
        self.moves = {name: torch.from_numpy(share.values != 0) for name, share in shares.items()}

    def key(self) -> str:
        parts = (name.encode() + index.numpy().tobytes() for name, index in self.index.items())
        return hashlib.sha256(b"".join(parts)).hexdigest()

    @torch.no_grad()
    def after_backward(self, module: GraphModule) -> None:
        for name, index in self.index.items():
            gradient = module.constant(name).grad
            if gradient is not None:
                gradient.copy_(self._sums(name, gradient)[index].view_as(gradient))

    def after_step(self, module: GraphModule, step: int) -> None:
        self._together(module)

    def before_score(self, module: GraphModule) -> None:
        self._together(module)

    def end(self, module: GraphModule) -> None:
        self._together(module)

    @torch.no_grad()
    def _together(self, module: GraphModule) -> None:
        """Each weight is its value, the mean of all that share it: what rounding drew apart."""
        for name, index in self.index.items():
            weight = module.constant(name)
            weight.copy_((self._sums(name, weight) / self.counts[name])[index].view_as(weight))

    def _sums(self, name: str, numbers: torch.Tensor) -> torch.Tensor:
        """(values,) of the numbers of the weights that share each; 0 for the value 0."""
        sums = torch.zeros(len(self.counts[name]), dtype=torch.float64)
        sums.index_add_(0, self.index[name], numbers.detach().reshape(-1).double())
        return sums * self.moves[name]
