"""The section of a recipe that says what goes into an artefact."""

from typing import Annotated, Literal

import msgspec

from toolchain.section import Positive, PositiveFloat, Section

Offset = Annotated[float, msgspec.Meta(ge=-255, le=255)]
PerChannel = Offset | tuple[Offset, ...]
PositivePerChannel = PositiveFloat | tuple[PositiveFloat, ...]


class ResizeConfig(Section):
    """size: height and width of the raw frame, in pixels;  method: how it becomes the network's size."""

    size: tuple[Positive, Positive]
    method: Literal["bilinear", "nearest"] = "bilinear"


class InputConfig(Section):
    """What goes into the artefact, and what comes out is called.

    With any key but `labels` the artefact takes raw frames, pixels in 0..255, and the network reads
    scale * (pixel - mean) / std.

    mean, std, scale: of the network's training, per channel in its own colour order; pixels are 0..255
    colour:           order of the frame's channels
    network_colour:   order that the network was trained with
    layout:           of the frames; by default each format's own: channels last, but the source's in .onnx
    resize:           the frame's size, where it is not the network's
    dtype:            of the artefact's input; by default uint8, float32 where the network stays in float
    labels:           names of the classes: a list, or a file beside the recipe with one on each line
    """

    mean: PerChannel | None = None
    std: PositivePerChannel | None = None
    scale: PositiveFloat | None = None
    colour: Literal["rgb", "bgr"] | None = None
    network_colour: Literal["rgb", "bgr"] | None = None
    layout: Literal["channels_last", "channels_first"] | None = None
    resize: ResizeConfig | None = None
    dtype: Literal["uint8", "int8", "float32"] | None = None
    labels: str | tuple[str, ...] = ()

    @property
    def takes_frames(self) -> bool:
        """Whether raw frames go in."""
        return msgspec.structs.replace(self, labels=()) != InputConfig()
