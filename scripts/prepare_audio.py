"""Make a sample set of a folder of clips (.wav, .flac): the waveform, log mel energies or MFCC, split, with a
manifest. `--features mfcc` with the other options left alone is MLPerf Tiny's front end for keyword spotting.

prepare_audio.py FOLDER --name my_words --licence CC-BY-4.0 --source "..." \\
    --features mfcc --group '/(\\w+)_nohash'
"""

from new_set import make_set, parser, run

from toolchain.data.manifest import FilePreprocessing, FilesManifest
from toolchain.data.mfcc import MLPERF_TINY, Audio

UNITS = {"none": "-1..1", "log_mel": "log magnitude", "mfcc": "cepstral coefficient"}


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--features", choices=tuple(UNITS), default="none")
    options.add_argument("--normalise", choices=("none", "max"),
                         help="of a clip before anything else; by default max for mfcc, else none")
    for key in ("rate", "length", "frame", "step", "fft", "mels", "coefficients"):
        options.add_argument(f"--{key}", type=int, default=getattr(MLPERF_TINY, key))
    for key in ("low", "high", "floor"):
        options.add_argument(f"--{key}", type=float, default=getattr(MLPERF_TINY, key))
    given = options.parse_args()
    given.normalise = given.normalise or {"mfcc": MLPERF_TINY.normalise}.get(given.features, "none")
    audio = Audio(**{key: getattr(given, key) for key in Audio.__struct_fields__})
    stated = ", ".join(f"{key} {getattr(audio, key)}" for key in Audio.__struct_fields__)
    make_set(given, FilesManifest(kind="audio", preprocessing=FilePreprocessing(audio=audio)), stated,
             [UNITS[given.features]])


if __name__ == "__main__":
    run(main)
