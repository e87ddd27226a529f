"""Networks that compute less where they may, in plain PyTorch, to hold ours against: one set of weights in
several widths, and channels that are chosen for each input.

They work on networks of batch-normed convolutions of one or two dimensions, by replacing or following their
layers: WatchNet and DsCnn.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import deepcopy

import cifar_networks
import numpy as np
from pruning_networks import CASES, DsCnn
import torch
from torch import nn
from torch.nn import functional as F

from docs.examples.har_watch.model import WatchNet

WIDTHS = (1.0, 0.5, 0.25)
NETWORKS: Mapping[str, type[nn.Module]] = {"watch": WatchNet, "ds_cnn": DsCnn}
RATE, DECAY, SMOOTHING = 3e-3, 0.05, 0.05
TEMPERATURE, ALPHA = 4.0, 0.5
"""Of soft labels, and their share of the loss: the defaults of [train]."""
CONVOLUTION = {3: F.conv1d, 4: F.conv2d}
"""By the dimensions of its weights."""
CONVS, NORMS = (nn.Conv1d, nn.Conv2d), (nn.BatchNorm1d, nn.BatchNorm2d)


# One set of weights in several widths (Yu et al. 2019) ------------------------------------------------------

class SlimConv(nn.Module):
    """A convolution whose first outputs compute on as many inputs as there are."""

    def __init__(self, conv: nn.Module):
        super().__init__()
        self.conv, self.width = conv, 1.0

    def forward(self, x):
        conv, weight = self.conv, self.weight(x.shape[1])
        groups = x.shape[1] if conv.groups > 1 else 1
        return CONVOLUTION[weight.ndim](x, weight, None, conv.stride, conv.padding, 1, groups)

    def weight(self, inputs: int) -> torch.Tensor:
        """The first of its outputs, on so many inputs; each on its own where it is depthwise."""
        return self.conv.weight[:round(self.width * self.conv.out_channels), :inputs]

    def cut(self, inputs: int) -> nn.Module:
        """A convolution of these weights alone."""
        weight = self.weight(inputs).detach().clone()
        conv, depthwise = self.conv, self.conv.groups > 1
        cut = type(conv)(len(weight) if depthwise else inputs, len(weight), conv.kernel_size, conv.stride,
                         conv.padding, groups=len(weight) if depthwise else 1, bias=False)
        cut.weight = nn.Parameter(weight)
        return cut


class SlimNorm(nn.Module):
    """A batch norm for each width."""

    def __init__(self, norm: nn.Module, widths: Sequence[float]):
        super().__init__()
        self.width, self.widths = 1.0, widths
        self.norms = nn.ModuleList(type(norm)(round(width * norm.num_features)) for width in widths)

    def forward(self, x):
        return self.cut(x.shape[1])(x)

    def cut(self, inputs: int) -> nn.Module:
        return self.norms[self.widths.index(self.width)]


class SlimLinear(nn.Module):
    """A last layer, of the first of its inputs."""

    def __init__(self, linear: nn.Linear):
        super().__init__()
        self.linear, self.width = linear, 1.0

    def forward(self, x):
        return F.linear(x, self.linear.weight[:, :x.shape[1]], self.linear.bias)

    def cut(self, inputs: int) -> nn.Module:
        cut = nn.Linear(inputs, self.linear.out_features)
        cut.weight = nn.Parameter(self.linear.weight[:, :inputs].detach().clone())
        cut.bias = nn.Parameter(self.linear.bias.detach().clone())
        return cut


SLIM = (SlimConv, SlimNorm, SlimLinear)


def slimmable(network: nn.Module, widths: Sequence[float] = WIDTHS) -> nn.Module:
    """The network with layers of SLIM in the places of its own."""
    def slim(layer: nn.Module) -> nn.Module | None:
        if isinstance(layer, NORMS):
            return SlimNorm(layer, widths)
        kinds = {SlimConv: CONVS, SlimLinear: nn.Linear}
        return next((kind(layer) for kind, plain in kinds.items() if isinstance(layer, plain)), None)

    return _replaced(network, slim)


def _replaced(network: nn.Module, replacement: Callable[[nn.Module], nn.Module | None]) -> nn.Module:
    for name, child in network.named_children():
        setattr(network, name, replacement(child) or _replaced(child, replacement))
    return network


def at_width(network: nn.Module, width: float) -> nn.Module:
    """The same network, which computes at this width from now on."""
    for layer in network.modules():
        if isinstance(layer, SLIM):
            layer.width = width
    return network


def sliced(network: nn.Module, width: float, example: torch.Tensor) -> nn.Module:
    """A plain network of what one width computes with, in eval mode."""
    network, inputs = at_width(deepcopy(network).eval(), width), {}
    hooks = [layer.register_forward_pre_hook(lambda layer, given: inputs.update({layer: given[0].shape[1]}))
             for layer in network.modules() if isinstance(layer, SLIM)]
    with torch.no_grad():
        network(example)
    for hook in hooks:
        hook.remove()
    return _replaced(network, lambda layer: layer.cut(inputs[layer]) if layer in inputs else None).eval()


# Channels that are chosen for each input (Gao et al. 2019) --------------------------------------------------

def kept_of(saliency: torch.Tensor, keep: float) -> torch.Tensor:
    """(N, channels) where it is among the largest of its row, else 0; k = round(keep * channels) stay."""
    winners = saliency.topk(round(keep * saliency.shape[1]), dim=1).indices
    return torch.zeros_like(saliency).scatter(1, winners, saliency.gather(1, winners))


class Gate(nn.Module):
    """Scales channels by what a predictor makes of the means of the layer's inputs; the most salient stay.

    The paper's penalty on saliencies, of 1e-8, is left out.
    """

    def __init__(self, inputs: int, outputs: int, keep: float):
        super().__init__()
        self.predict, self.keep = nn.Linear(inputs, outputs), keep
        nn.init.kaiming_normal_(self.predict.weight)
        nn.init.ones_(self.predict.bias)

    def forward(self, x, y):
        saliency = torch.relu(self.predict(x.abs().flatten(2).mean(2)))
        return y * kept_of(saliency, self.keep).reshape(*saliency.shape, *[1] * (y.ndim - 2))


class Gated(nn.Module):
    """A network whose named layers' outputs go through gates.

    gates:   layer's name -> its gate, dots as underscores
    follow:  names of depthwise layers, whose channels go with their inputs
    """

    def __init__(self, network: nn.Module, gates: Mapping[str, tuple[int, int]], follow: Sequence[str],
                 keep: float, turned: str = ""):
        super().__init__()
        self.network = network
        self.gates = nn.ModuleDict({name.replace(".", "_"): Gate(*shape, keep)
                                    for name, shape in gates.items()})
        for name in gates:
            gate, over = self.gates[name.replace(".", "_")], -1 if name == turned else 1
            network.get_submodule(name).register_forward_hook(
                lambda layer, given, out, gate=gate, over=over: gate(given[0].transpose(1, over), out))
        for name in follow:
            network.get_submodule(name).register_forward_hook(lambda layer, given, out: out * alive(given[0]))

    def forward(self, x):
        return self.network(x)


def alive(x: torch.Tensor) -> torch.Tensor:
    """(N, channels, 1 ...) 1 where a channel is not 0 everywhere."""
    found = x.abs().flatten(2).amax(2) > 0
    return found.reshape(*found.shape, *[1] * (x.ndim - 2)).to(x.dtype)


def gated(network: nn.Module, keep: float) -> Gated:
    """A WatchNet or a DsCnn, its weights copied, with a gate behind each convolution.

    A residual sum is gated as one, by the block's input. The keywords' first layer has one input channel, so
    that its gate looks at each coefficient's mean over time instead.
    """
    network = deepcopy(network)
    if isinstance(network, WatchNet):
        gates = {"stem": (6, 24)}
        for number, block in enumerate(network.blocks):
            shape = block.first[0].in_channels, block.first[0].out_channels
            gates |= {f"blocks.{number}.first": shape, f"blocks.{number}": shape}
        return Gated(network, gates, (), keep)
    tenth, conv, norm, *rest = network
    network = nn.Sequential(tenth, nn.Sequential(conv, norm), *rest)
    blocks = [str(number) for number, layer in enumerate(network) if number > 1
              and isinstance(layer, nn.Sequential)]
    gates = {"1": (10, 64), **dict.fromkeys(blocks[1::2], (64, 64))}
    return Gated(network, gates, blocks[::2], keep, turned="1")


# Training ---------------------------------------------------------------------------------------------------

Loss = Callable[[nn.Module, torch.Tensor, torch.Tensor], torch.Tensor]
"""(network, x, labels) -> what training lessens."""


def learn(network: nn.Module, case: str, epochs: int, seed: int, loss_of: Loss) -> nn.Module:
    """Train on the case's augmented batches; in eval mode at the end. Seeded."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        steps = epochs * sum(1 for _ in CASES[case].loader(0, seed))
        optimiser = torch.optim.AdamW(cifar_networks.groups(network.train(), DECAY), RATE)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, steps)
        for x, y in _batches(case, epochs, seed):
            optimiser.zero_grad()
            loss_of(network, x, y).backward()
            optimiser.step()
            schedule.step()
    return network.eval()


def _batches(case: str, epochs: int, seed: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    for epoch in range(epochs):
        for feeds, y in CASES[case].loader(epoch, seed):
            yield torch.from_numpy(feeds["x"]), torch.from_numpy(y)


def labels_loss(network: nn.Module, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return F.cross_entropy(network(x), y, label_smoothing=SMOOTHING)


def taught_loss(logits: torch.Tensor, y: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    """Labels and what a teacher says, as [train] mixes them."""
    soft = F.kl_div((logits / TEMPERATURE).log_softmax(1), (teacher / TEMPERATURE).log_softmax(1),
                    reduction="batchmean", log_target=True)
    return ALPHA * TEMPERATURE**2 * soft + (1 - ALPHA) * F.cross_entropy(logits, y)


def taught_by(teacher: nn.Module) -> Loss:
    def loss(network: nn.Module, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            said = teacher(x)
        return taught_loss(network(x), y, said)

    return loss


def sandwich(network: nn.Module, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Every width at each step; the widest learns labels, the others from it too (Yu & Huang 2019)."""
    widest = at_width(network, WIDTHS[0])(x)
    total = F.cross_entropy(widest, y, label_smoothing=SMOOTHING)
    for width in WIDTHS[1:]:
        total = total + taught_loss(at_width(network, width)(x), y, widest.detach())
    return total


def right(network: nn.Module, case: str, part: str) -> np.ndarray:
    """(n,) whether its first choice is the label, of a network in eval mode."""
    x, y = getattr(CASES[case].data(), part)
    with torch.no_grad():
        found = torch.cat([network(batch) for batch in torch.from_numpy(x).split(256)])
    return found.argmax(1).numpy() == y
