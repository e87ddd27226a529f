"""AdaRound: whether each weight goes up or down is learned on what the layer gives after its activation.

Source: Nagel et al. 2020, "Up or Down? Adaptive Rounding for Post-Training Quantization", section 3 (equation
numbers below). Inputs and targets both come from the quantized network's activations. With the float
network's for the targets (eq. 25), keyword spotting came 0.7 dB nearer to its float self on the 100 samples
that it was rounded on, and on others not at all.

The paper weighs the regulariser by 0.01 beside the layer's squared error, which depends on what unit the
outputs are in. Here the error is by that of the nearest codes, and the regulariser is a mean over weights.
"""

from collections.abc import Callable

import numpy as np

from toolchain.errors import BadInput
from toolchain.quantize.layer import Layer

ZETA, GAMMA = 1.1, -0.1
"""How far the sigmoid is stretched (section 3.2)."""
BETA = (20.0, 2.0)
"""First and last exponent of the regulariser: it lets weights move first, then draws them to 0 or 1."""
REGULARISER = 100.0
WARM_UP = 0.2
"""Share of the steps before the regulariser sets in."""
STEPS, BATCH, LEARNING_RATE = 1000, 256, 1e-2
ROWS_BYTES = 1 << 24
"""Rows that a layer keeps, at most: places of the output, drawn from each batch of samples alike."""
SURE = 1e-3
"""How near to 0 or 1 a weight may start; at the very end it could not move."""


class SampledRows:
    """Rows of a layer's inputs, (G, rows, K), as many as ROWS_BYTES hold.

    All are kept until they are too many; then every other one goes, and so on.
    """

    def __init__(self, layer: Layer, seed: int):
        _require_torch()
        self._layer, self._seed = layer, seed
        self._most = max(BATCH, ROWS_BYTES // (4 * layer.groups * layer.size))
        self._draw = np.random.default_rng(seed)
        self._parts: list[np.ndarray] = []
        self._share = 1.0

    @staticmethod
    def bytes_of(layer: Layer) -> int:
        return 2 * ROWS_BYTES

    def add(self, rows: np.ndarray) -> None:
        self._parts.append(self._thinned(rows, self._share))
        while sum(part.shape[1] for part in self._parts) > self._most:
            self._share /= 2
            self._parts = [self._thinned(part, 0.5) for part in self._parts]

    def codes(self) -> np.ndarray:
        """(G, O, K): of each channel the learned ones where they lose less on these rows, else its own."""
        layer, rows = self._layer, np.concatenate(self._parts, axis=1)
        found = _learned(layer, rows, self._seed)
        better = output_loss(layer, rows, found) < output_loss(layer, rows, layer.codes)
        return np.where(better[:, :, None], found, layer.codes)

    def _thinned(self, rows: np.ndarray, share: float) -> np.ndarray:
        """At least one row of them, drawn without order; a copy, because what is shown is overwritten."""
        count = max(1, round(share * rows.shape[1]))
        if count == rows.shape[1]:
            return rows.copy()
        return rows[:, np.sort(self._draw.choice(rows.shape[1], count, replace=False))]


def output_loss(layer: Layer, rows: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """(G, O) squared error after the activation, summed over rows."""
    exact, found = (_outputs(layer, rows, matrix) for matrix in (layer.target, codes))
    return np.square(found - exact, dtype=np.float64).sum(axis=1)


def _outputs(layer: Layer, rows: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """(G, rows, O) for weights in steps."""
    bias = 0 if layer.bias is None else layer.bias.reshape(layer.groups, 1, -1)
    sums = rows @ (matrix * layer.steps).astype(np.float32).swapaxes(1, 2) + bias
    low, high = {None: (None, None), "relu": (0, None), "relu6": (0, 6)}[layer.activation]
    return sums if low is None else np.clip(sums, low, high)


# In torch ---------------------------------------------------------------------------------------------------

def rectified_sigmoid(v):
    """h(V) = clip(sigmoid(V) (zeta - gamma) + gamma, 0, 1) (eq. 23)."""
    return (v.sigmoid() * (ZETA - GAMMA) + GAMMA).clamp(0, 1)


def inverse_sigmoid(h):
    """V such that h(V) = h, for h within SURE of neither 0 nor 1 but between."""
    stretched = (h.clamp(SURE, 1 - SURE) - GAMMA) / (ZETA - GAMMA)
    return (stretched / (1 - stretched)).log()


def regulariser(h, beta: float):
    """1 - |2 h - 1|^beta (eq. 24), of each weight."""
    return 1 - (2 * h - 1).abs().pow(beta)


def beta_at(progress: float) -> float:
    """The exponent at a share of the steps after the warm-up."""
    return BETA[0] + (BETA[1] - BETA[0]) * progress


def _learned(layer: Layer, rows: np.ndarray, seed: int) -> np.ndarray:
    """Codes (G, O, K), each the float weight rounded down or up, within the layer's limits."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    x = torch.from_numpy(np.ascontiguousarray(rows.swapaxes(0, 1)))
    down = torch.from_numpy(np.floor(layer.target).astype(np.float32))
    fraction = torch.from_numpy((layer.target - np.floor(layer.target)).astype(np.float32))
    v = inverse_sigmoid(fraction).requires_grad_()
    loss = _relative_loss(layer, rows, x)
    optimiser = torch.optim.Adam([v], lr=LEARNING_RATE)
    for step in range(STEPS):
        picked = torch.randint(0, len(x), (min(BATCH, len(x)),), generator=generator)
        h = rectified_sigmoid(v)
        total = loss((down + h).clamp(*layer.limits), picked)
        progress = (step / STEPS - WARM_UP) / (1 - WARM_UP)
        if progress >= 0:
            total = total + REGULARISER * regulariser(h, beta_at(progress)).mean()
        optimiser.zero_grad()
        total.backward()
        optimiser.step()
    up = (rectified_sigmoid(v.detach()) >= 0.5).numpy()
    return np.clip(np.floor(layer.target) + up, *layer.limits)


def _relative_loss(layer: Layer, rows: np.ndarray, x) -> Callable:
    """(weights in steps, picked rows) -> mean squared error over them, by that of the codes it has."""
    import torch

    steps = torch.from_numpy(layer.steps.astype(np.float32))
    bias = torch.zeros(1) if layer.bias is None else torch.tensor(layer.bias).reshape(layer.groups, -1)
    exact = torch.from_numpy(np.ascontiguousarray(_outputs(layer, rows, layer.target).swapaxes(0, 1)))
    clamp = {None: lambda y: y, "relu": torch.relu, "relu6": lambda y: y.clamp(0, 6)}[layer.activation]
    nearest = output_loss(layer, rows, layer.codes).sum() / len(x)

    def loss(codes, picked):
        sums = _products(x[picked], codes * steps) + bias
        return (clamp(sums) - exact[picked]).square().sum() / (len(picked) * max(nearest, 1e-30))

    return loss


def _products(x, weights):
    """(rows, G, O) of x (rows, G, K) and (G, O, K): a depthwise layer's element by element, twice as fast."""
    import torch

    if weights.shape[1] == 1:
        return (x * weights[:, 0]).sum(-1, keepdim=True)
    return torch.einsum("rgk,gok->rgo", x, weights)


def _require_torch() -> None:
    try:
        import torch  # noqa: F401
    except ImportError:
        raise BadInput('[quantize] rounding = "adaround" needs torch: pip install torch==2.13.0; "gptq" '
                       "does without") from None
