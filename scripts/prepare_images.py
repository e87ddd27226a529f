"""Make a sample set of a folder of images: resized, cropped, uint8, split, with a manifest.

prepare_images.py FOLDER --name my_photos --licence CC0-1.0 --source "taken by us" --resize 256 --crop 224
"""

from new_set import make_set, parser, run

from toolchain.data.manifest import FilePreprocessing, FilesManifest


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--resize", type=int, help="shorter side, in pixels")
    options.add_argument("--crop", type=int, help="side of the middle square that is kept")
    options.add_argument("--crop-padding", type=int,
                         help="instead of --resize: the middle crop / (crop + padding) becomes --crop")
    options.add_argument("--method", choices=("bilinear", "bicubic", "nearest"), default="bilinear")
    options.add_argument("--colour", choices=("rgb", "bgr", "gray"), default="rgb")
    options.add_argument("--mean", type=float, nargs="+", default=[0.0],
                         help="the network reads (pixel - mean) / scale: one number, or one per channel")
    options.add_argument("--scale", type=float, nargs="+", default=[1.0])
    given = options.parse_args()
    steps = FilePreprocessing(colour=given.colour, resize=given.resize, crop=given.crop, method=given.method,
                              crop_padding=given.crop_padding)
    done = [f"{key} {value}" for key, value in (("resize", given.resize), ("crop", given.crop),
                                                ("crop padding", given.crop_padding)) if value]
    still = {key: values[0] if len(values) == 1 else values
             for key, values in (("mean", given.mean), ("scale", given.scale))}
    preparation = f"decoded to {given.colour}; {', '.join(done) or 'size as it was'}; {given.method}"
    make_set(given, FilesManifest(kind="images", preprocessing=steps), preparation, ["0..255"], still)


if __name__ == "__main__":
    run(main)
