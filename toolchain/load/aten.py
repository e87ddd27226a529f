"""ATen calls as Graph ops: one rule per call that torch.export leaves in a network.

Literal: what the source has channels first is transposed to channels last before an op that needs it so,
and back after. Names that hold ':' are this scaffolding; what holds the call's result carries the plain name.
Meaning of the arguments: PyTorch documentation, torch.nn.functional. The rules are in aten_*.py by theme.
"""

from collections.abc import Mapping

from toolchain.load import (
    aten_activation,
    aten_conv,
    aten_math,
    aten_matrix,
    aten_norm,
    aten_pool,
    aten_recurrent,
    aten_reduce,
    aten_resize,
    aten_shape,
    aten_slice,
)
from toolchain.load.aten_call import Rule

RULES: Mapping[str, Rule] = {
    name: rule
    for theme in (aten_conv, aten_matrix, aten_norm, aten_activation, aten_math, aten_reduce, aten_pool,
                  aten_resize, aten_shape, aten_slice, aten_recurrent)
    for name, rule in theme.RULES.items()}

IDENTITY = frozenset({"dropout", "feature_dropout", "alpha_dropout", "feature_alpha_dropout",
                      "contiguous", "clone", "detach", "alias", "to", "_to_copy", "type_as",
                      "lift_fresh_copy", "expand", "expand_as"})
"""Dropped where dtype and shape stay as they are and, for the dropouts, train is False."""

COPIES = frozenset({"clone", "_to_copy", "lift_fresh_copy"})
"""Of IDENTITY those that never share memory with their input."""

OF_SHAPE = frozenset({"zeros_like", "ones_like", "full_like", "new_zeros", "new_ones", "new_full"})
"""Read the shape of their input and not its values."""

CONSTANTS = frozenset({"arange", "linspace", "zeros", "ones", "full", "eye", "scalar_tensor", "tril", "triu",
                       "meshgrid", "floor_divide", "remainder", "floor", "ceil", "round", "sin", "cos", "tan",
                       "cumsum", "outer", "copy", "fill", "zero", "bitwise_and", "bitwise_or", "fmod"})
"""Beside those in RULES, calls that are computed once where only constants go in."""

BROADCASTING = frozenset({"add", "sub", "rsub", "mul", "div", "minimum", "maximum", "pow", "where",
                          *aten_math.RELATION, "logical_and", "logical_or", "__and__", "__or__"})
"""Take operands that broadcast, so that what was only expanded for them need not be."""

HINTS: Mapping[str, str] = {
    "squeeze": "name the axis to squeeze",
    **dict.fromkeys(("cumsum", "cumprod"), "running sums have no row; multiply by a constant triangle"),
    **dict.fromkeys(("sort", "topk", "argsort", "kthvalue", "median"),
                    "sorting has no row; return the values and sort them after the network"),
    **dict.fromkeys(("nonzero", "masked_select", "unique2"),
                    "its result's size depends on values; do it after the network"),
    **dict.fromkeys(("gather", "take_along_dim", "scatter", "scatter_add", "index_put", "index_add"),
                    "only whole slices are taken, by index_select or embedding"),
    **dict.fromkeys(("copy", "fill", "zero"), "writing into a part has no row; use torch.cat or torch.where"),
    **dict.fromkeys(("floor_divide", "remainder", "fmod"), "only constants can go through it"),
    **dict.fromkeys(("floor", "ceil", "round", "trunc", "frac"), "rounding has no row"),
    **dict.fromkeys(("sin", "cos", "tan", "atan", "atan2", "erf"),
                    "only constants can go through it; for erf use GELU"),
    **dict.fromkeys(("upsample_bicubic2d", "_upsample_bicubic2d_aa", "_upsample_bilinear2d_aa",
                     "upsample_trilinear3d", "grid_sampler"), "use nearest or bilinear without antialias"),
    **dict.fromkeys(("conv3d", "max_pool3d", "adaptive_avg_pool3d"), "only 1 or 2 spatial axes have a row"),
    **dict.fromkeys(("rand", "randn", "rand_like", "randn_like", "bernoulli", "multinomial"),
                    "a network gives the same each time; hand the noise in as an input"),
    **dict.fromkeys(("im2col", "unfold", "col2im"), "use a convolution"),
}
