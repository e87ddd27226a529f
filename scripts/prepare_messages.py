"""Make calibration_data/messages/ from the translations inside the wheel of Django 5.2 (BSD-3-Clause).

What a web site says to its users, in 12 languages of two scripts; which one is for a network to tell. Samples
are characters, numbered by docs/examples/messages/vocabulary.txt, which is written too. All translations of
one message are in one split.
"""

from collections import Counter
from collections.abc import Iterable
from io import BytesIO
import itertools
from pathlib import Path
import re
import struct
import zipfile

import numpy as np
from sample_set import SPLITS, describe_splits, write_sample_set
from wheels import check_sha256, fetch_wheel

WHEEL = "Django==5.2"
SHA256 = "91ceed4e3a6db5aedced65e3c8f963118ea9ba753fc620831c77074e620e7d83"
LICENCE = "Django-5.2.dist-info/LICENSE"
VOCABULARY = Path(__file__).resolve().parent.parent / "docs" / "examples" / "messages" / "vocabulary.txt"

LANGUAGES = {"bg": "Bulgarian", "da": "Danish", "de": "German", "en": "English", "es": "Spanish",
             "it": "Italian", "nb": "Norwegian", "pt": "Portuguese", "ru": "Russian", "sr": "Serbian",
             "sv": "Swedish", "uk": "Ukrainian"}
SOURCE = "en"  # what the others are translated from
LENGTH = 64  # characters of a sample
SHORTEST = 12  # letters that a message must have
PAD, UNKNOWN = range(2)  # the vocabulary's first two
RAREST = 5  # times that a character of the vocabulary is in training messages
SHARES = {"calibration": 40, "selection": 60, "test": 130}  # messages; the rest is for training
SEED = 0

MO_MAGIC = 0x950412DE
INSERTED = re.compile(r"%\(\w+\)[a-z]|%[a-z%]|<[^>]*>|&\w+;|\{[^}]*\}")
"""What no translator touches: format specifiers, tags and entities."""
Message = tuple[str, str, str]
"""Of a message: its English original, a language of LANGUAGES, and the text in it."""


# Messages ---------------------------------------------------------------------------------------------------

def read_catalogue(mo: bytes) -> dict[str, str]:
    """Original -> translation, of plurals the first form, without contexts and the header.

    GNU gettext manual, "The Format of GNU MO Files": two tables of (length, offset) lead to the texts.
    """
    magic, _, count, *tables = struct.unpack_from("<5I", mo)
    if magic != MO_MAGIC:
        raise ValueError(f"begins with {magic:#x}, a little-endian catalogue with {MO_MAGIC:#x}")
    pairs = zip(*(texts(mo, table, count) for table in tables), strict=True)
    return {original.rpartition("\x04")[2]: translation for original, translation in pairs if original}


def texts(mo: bytes, table: int, count: int) -> list[str]:
    places = struct.iter_unpack("<2I", mo[table:table + 8 * count])
    return [mo[start:start + length].split(b"\0")[0].decode() for length, start in places]


def plain(text: str) -> str:
    """Lower case, without what no translator touches, one space between words."""
    return " ".join(INSERTED.sub(" ", text).lower().split())


def read_messages(wheel: zipfile.ZipFile) -> list[Message]:
    """Every message of Django and its contrib packages; an original is there once for each language."""
    found: dict[tuple[str, str], str] = {}
    for name in sorted(wheel.namelist()):
        if (place := re.search(r"/locale/(\w+)/LC_MESSAGES/\w+\.mo$", name)) and place[1] in LANGUAGES:
            for original, text in read_catalogue(wheel.read(name)).items():
                found.setdefault((original, SOURCE), original)
                found.setdefault((original, place[1]), text)
    return [(original, language, plain(text)) for (original, language), text in sorted(found.items())]


def telling(messages: Iterable[Message]) -> list[Message]:
    """Those that are long enough, are in one language only, and were not seen before."""
    first = {}
    languages: dict[str, set[str]] = {}
    for original, language, text in messages:
        start = text[:LENGTH].strip()
        first.setdefault(start, (original, language, start))
        languages.setdefault(start, set()).add(language)
    return [message for start, message in first.items()
            if len(languages[start]) == 1 and sum(map(str.isalpha, start)) >= SHORTEST]


# Samples ----------------------------------------------------------------------------------------------------

def split_of(originals: Iterable[str]) -> dict[str, str]:
    """Original -> split. Seeded."""
    order = np.random.default_rng(SEED).permutation(sorted(set(originals))).tolist()
    names = itertools.chain.from_iterable([name] * size for name, size in SHARES.items())
    return dict(itertools.zip_longest(order, names, fillvalue="train"))


def vocabulary_of(lines: Iterable[str]) -> list[str]:
    """[PAD], [UNK] and the characters that are not rare."""
    counts = Counter(itertools.chain.from_iterable(lines))
    return ["[PAD]", "[UNK]", *sorted(char for char, count in counts.items() if count >= RAREST)]


def encoded(text: str, number_of: dict[str, int]) -> np.ndarray:
    """(LENGTH, 1) uint8, padded behind."""
    numbers = [number_of.get(char, UNKNOWN) for char in text]
    return np.array(numbers + [PAD] * (LENGTH - len(numbers)), np.uint8)[:, None]


def as_samples(messages: list[Message]) -> tuple[dict[str, np.ndarray], list[str]]:
    """x (N, LENGTH, 1) uint8, y, split and message (N,); and the vocabulary, of training messages."""
    splits = split_of(original for original, _, _ in messages)
    known = vocabulary_of(text for original, _, text in messages if splits[original] == "train")
    number_of = {char: number for number, char in enumerate(known)}
    message_of = {original: number for number, original in enumerate(splits)}
    classes = list(LANGUAGES)
    return {"x": np.stack([encoded(text, number_of) for _, _, text in messages]),
            "y": np.array([classes.index(language) for _, language, _ in messages], np.int64),
            "split": np.array([SPLITS.index(splits[original]) for original, _, _ in messages], np.uint8),
            "message": np.array([message_of[original] for original, _, _ in messages], np.uint16)}, known


def main() -> None:
    wheel = check_sha256(fetch_wheel(WHEEL).read_bytes(), SHA256, WHEEL)
    with zipfile.ZipFile(BytesIO(wheel)) as archive:
        messages = telling(read_messages(archive))
        licence = archive.read(LICENCE).decode()
    arrays, known = as_samples(messages)
    VOCABULARY.write_text("".join(f"{token}\n" for token in known), encoding="utf-8")
    path = write_sample_set("messages", arrays, {
        "source": f"locale/*/LC_MESSAGES/*.mo in the wheel of {WHEEL} (sha256 {SHA256})",
        "licence": "BSD-3-Clause",
        "notice": licence,
        "task": "classification",
        "layout": "channels_last",
        "channels": ["character"],
        "units": ["line of docs/examples/messages/vocabulary.txt, from 0"],
        "classes": list(LANGUAGES.values()),
        "preparation": f"lower case, without format specifiers and tags, cut to {LENGTH} characters; left "
                       f"out: less than {SHORTEST} letters, and the same text in two languages",
        "split": {"names": list(SPLITS), "by": "message"},
    })
    print(f"{path}: {describe_splits(arrays)}; {len(known)} characters")


if __name__ == "__main__":
    main()
