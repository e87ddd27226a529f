"""Our U8S8 .onnx beside onnxruntime's own quantize_static file of the same float model and images.

One thread, blocks in turn, medians of paired ratios: the .onnx rows of benchmark_peers.py alone, without the
vendors' environment. Exits with 3 where ours takes over 5 % more CPU time.
"""

import sys

from benchmark_peers import NETWORKS, OUT, Network, child, images, onnx_peer, say, speed
import numpy as np
from peers_report import slower, speed_table
import typer


def files(network: Network, count: int):
    """Our INT8 file and theirs, made anew."""
    folder = OUT / f"{network.name}-onnx" / "ours"
    folder.mkdir(parents=True, exist_ok=True)
    samples = folder.parent / "calibration.npz"
    np.savez(samples, x=images(network, "calibration", count))
    child(sys.executable, "convert_ours.py", network.model, samples, "minmax", folder)
    (folder.parent / "onnxruntime-int8.onnx").unlink(missing_ok=True)
    return folder / "int8.onnx", onnx_peer(network, folder)


def main(quick: bool = typer.Option(False, help="fewer images and pairs")) -> None:
    """Quantize both ways, time both files, print the table."""
    count, processes, pairs = (10, 2, 30) if quick else (64, 5, 200)
    found = {network.name: {"U8S8 .onnx": speed(*files(network, count), processes, pairs)}
             for network in NETWORKS}
    print(speed_table(found))
    if worse := slower(found):
        say("; ".join(worse))
        raise typer.Exit(3)


if __name__ == "__main__":
    typer.run(main)
