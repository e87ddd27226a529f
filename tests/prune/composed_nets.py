"""Random small networks with what is composed of reshapes, transposes and products: group norm, channel
shuffle, pixel shuffle, attention; with shared weights, choices and channels that nothing makes."""

import numpy as np

from tests.prune.nets import RandomNet


class ComposedNet(RandomNet):
    """As RandomNet, with more blocks; each takes an image of any size and returns one."""

    def op(self, kind: str, *inputs: str, **attrs) -> str:
        return self.build.op(kind, inputs, kind, **attrs)

    def reshape(self, x: str, *shape: int) -> str:
        return self.op("reshape", x, shape=shape)

    def shape(self, x: str) -> tuple[int, ...]:
        return self.build.tensors[x].shape

    def any_of(self, low: int, high: int) -> int:
        """A number from low to high."""
        return int(self.rng.integers(low, high + 1))

    def pixel_shuffle(self, x: str) -> str:
        y = self.op("depth_to_space", self.conv(x, 4 * self.any_of(2, 4)), block=2)
        return self.op("average_pool2d", y, kernel=(2, 2), stride=(2, 2))

    def pixel_shuffle_composed(self, x: str) -> str:
        """Channel c * 4 + i * 2 + j goes to row i, column j (PyTorch's PixelShuffle)."""
        count = self.any_of(2, 4)
        _, height, width, channels = self.shape(y := self.conv(x, 4 * count))
        y = self.op("transpose", self.reshape(y, 1, height, width, count, 2, 2), perm=(0, 1, 4, 2, 5, 3))
        y = self.reshape(y, 1, 2 * height, 2 * width, count)
        return self.op("max_pool2d", y, kernel=(2, 2), stride=(2, 2))

    def pixel_unshuffle(self, x: str) -> str:
        y = self.op("space_to_depth", self.op("resize_nearest", x, size=(4, 6)), block=2)
        return self.op("resize_nearest", self.conv(y, self.any_of(4, 9)), size=(4, 5))

    def group_norm(self, x: str) -> str:
        groups, each = self.any_of(2, 5), self.any_of(1, 3)
        shape = self.shape(y := self.conv(x, groups * each))
        parameters = [self.constant(groups, each) for _ in range(2)]
        y = self.reshape(y, 1, shape[1] * shape[2], groups, each)
        y = self.op("layer_norm", y, *parameters, axes=(1, 3), epsilon=1e-2)
        return self.op("relu", self.reshape(y, *shape))

    def shuffle(self, x: str) -> str:
        """Channels change places among groups that the next convolution reads (Zhang et al. 2018)."""
        groups, each = self.any_of(2, 4), self.any_of(2, 4)
        shape = self.shape(y := self.conv(x, groups * each))
        y = self.op("transpose", self.reshape(y, *shape[:3], groups, each), perm=(0, 1, 2, 4, 3))
        rows = groups * self.any_of(1, 3)
        weights = self.constant(rows, 1, 1, each), self.constant(rows)
        return self.op("conv2d", self.reshape(y, *shape), *weights)

    def whole_groups(self, x: str) -> str:
        """Group norm over the groups of a convolution: they go whole, or not at all."""
        groups = self.any_of(3, 5)
        y = self.conv(x, 2 * groups)
        y = self.op("conv2d", y, self.constant(2 * groups, 1, 1, 2), self.constant(2 * groups))
        _, height, width, channels = shape = self.shape(y)
        y = self.reshape(y, 1, height * width, groups, 2)
        parameters = [self.constant(groups, 1) for _ in range(2)]
        return self.reshape(self.op("layer_norm", y, *parameters, axes=(1, 3), epsilon=1e-2), *shape)

    def attention(self, x: str) -> str:
        """Heads of queries, keys and values from 1x1 convolutions (Vaswani et al. 2017, section 3.2)."""
        heads, each = self.any_of(2, 4), self.any_of(2, 4)
        shape = self.shape(x)[:3]
        parted = (1, shape[1] * shape[2], heads, each)
        made = [self.reshape(self.conv(x, heads * each), *parted) for _ in range(3)]
        query, key, value = (self.op("transpose", y, perm=(0, 2, 1, 3)) for y in made)
        weights = self.op("batch_matmul", query, key, transpose_b=True)
        weights = self.op("softmax", self.op("mul", weights, self.constant(heads, 1, 1)))
        y = self.op("transpose", self.op("batch_matmul", weights, value), perm=(0, 2, 1, 3))
        return self.conv(self.reshape(y, *shape, heads * each), self.any_of(4, 9))

    def covariance(self, x: str) -> str:
        """Channels times channels: one tensor is read twice, on both sides."""
        _, height, width, channels = self.shape(y := self.conv(x, self.any_of(3, 6)))
        flat = self.reshape(y, 1, height * width, channels)
        mixed = self.op("batch_matmul", flat, flat, transpose_a=True)
        return self.reshape(self.op("batch_matmul", flat, mixed), 1, height, width, channels)

    def shared(self, x: str) -> str:
        """One weight in two convolutions, and one bias in both."""
        y = self.conv(x, count := self.any_of(4, 8))
        weights = self.constant(count, 1, 1, count), self.constant(count)
        first = self.op("conv2d", y, *weights, activation="relu")
        second = self.op("conv2d", self.op("add", first, y), *weights)
        return self.op("concat", first, self.op("tanh", second), axis=3)

    def chosen(self, x: str) -> str:
        less = self.op("compare", x, self.constant(self.channels(x)), relation="less")
        other = self.op("logical_not", self.op("compare", x, self.constant(1), relation="greater"))
        y = self.conv(x, self.channels(x))
        return self.op("select", self.op("logical_or", less, other), y, self.constant(self.channels(x)))

    def unit_norm(self, x: str) -> str:
        """x / |x| over the channels, whose squares are summed."""
        total = self.op("sum", self.op("mul", x, x), axes=(3,), keepdims=True)
        one = self.build.constant("one", np.ones(1, np.float32))
        return self.op("mul", x, self.op("rsqrt", self.op("add", total, one)))

    def widened(self, x: str) -> str:
        """A shortcut that pads its channels (He et al. 2016, option A), and one that repeats them."""
        before, after = self.any_of(0, 2), self.any_of(1, 3)
        pads = ((0, 0), (0, 0), (0, 0), (before, after))
        y = self.op("pad", x, pads=pads, value=float(self.any_of(0, 1)))
        y = self.op("add", y, self.conv(x, self.channels(y)))
        return self.op("tile", y, multiples=(1, 1, 1, 2)) if self.channels(y) < 12 else y

    def constant_rows(self, x: str) -> str:
        """A dense layer of something that no input makes, added to all places."""
        learned, count = self.constant(1, 6), self.channels(x)
        row = self.op("fully_connected", learned, self.constant(count, 6), self.constant(count))
        return self.op("add", x, row)

    def mixed_places(self, x: str) -> str:
        """Dense layers along the places of every channel (Tolstikhin et al. 2021)."""
        _, height, width, count = shape = self.shape(x)
        places = height * width
        turned = self.op("transpose", self.reshape(x, 1, places, count), perm=(0, 2, 1))
        y = self.reshape(turned, count, places)
        for made, read in ((5, places), (places, 5)):
            y = self.op("elu", self.op("fully_connected", y, self.constant(made, read), self.constant(made)))
        y = self.op("transpose", self.reshape(y, 1, count, places), perm=(0, 2, 1))
        return self.reshape(y, *shape)

    MORE = (pixel_shuffle, pixel_shuffle_composed, pixel_unshuffle, group_norm, shuffle, whole_groups,
            attention, covariance, shared, chosen, unit_norm, widened, constant_rows, mixed_places)
    BLOCKS = (*RandomNet.BLOCKS, *MORE)
