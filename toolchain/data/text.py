"""Samples from text: each line becomes token ids by a vocabulary, padded or cut to the network's length."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
import unicodedata

import numpy as np

from toolchain.data.manifest import FilesManifest, Text
from toolchain.data.rows import Read, Rows
from toolchain.data.samples import Samples
from toolchain.errors import BadConfig, BadSamples

SUFFIXES = (".txt",)
LONGEST_WORD = 100
"""Characters of a word that wordpiece tries to cut, as in BERT."""
Line = tuple[Path, int, int]
"""File, line number from 1, and the byte where it begins."""
Cut = Callable[[str], list[str]]


def load_text(files: list[Path], manifest: FilesManifest, about: Path) -> Samples:
    """Lines that are not blank, as ids (N, length) int32; any length, until they are fitted to a network.

    Raises BadConfig where the manifest has no [text] or its vocabulary lacks a token that it names,
    BadSamples where a line cannot be read or told in tokens.
    """
    config = manifest.text
    if config is None:
        raise BadConfig(f'{about}: has no [text]; write [text] vocabulary = "vocab.txt", and how tokens are '
                        f"cut")
    book = about.parent / config.vocabulary
    vocabulary = read_vocabulary(book)
    lines = [line for file in files if file != book for line in _lines(file)]
    if not lines:
        raise BadSamples(f"{about.parent}: holds no lines of text")
    tokenise = Tokeniser(config, vocabulary, about)

    def ids(position: int) -> list[int]:
        return tokenise(lines[position])

    length = config.length or max(len(ids(i)) for i in range(len(lines)))
    fixed = config.length is not None
    x = {config.input: id_rows(ids, len(lines), length, tokenise.pad, fixed)}
    if config.mask:
        x[config.mask] = id_rows(lambda position: [1] * len(ids(position)), len(lines), length, 0, fixed)
    return Samples(about.parent.name, x, None, None, np.arange(len(lines)),
                   files=[f"{file.name}, line {number}" for file, number, _ in lines],
                   remedy="write another [text] length in its manifest, or none")


def id_rows(ids: Callable[[int], list[int]], count: int, length: int, pad: int, fixed: bool) -> Rows:
    """`count` samples of `length` ids int32: longer ones cut, shorter ones padded behind.

    fixed: the length is what the manifest says; else a network may ask for another
    """
    def reader(one: tuple[int, ...]) -> Read | None:
        length = int(np.prod(one))
        return partial(_padded, ids, length, pad, one) if length in one else None

    resized = None if fixed else reader
    return Rows((length,), np.dtype(np.int32), reader((length,)), np.arange(count), resized)


def _padded(ids: Callable[[int], list[int]], length: int, pad: int, one: tuple[int, ...],
            at: np.ndarray) -> np.ndarray:
    found = np.full((len(at), length), pad, np.int32)
    for row, position in zip(found, at):
        known = ids(int(position))[:length]
        row[:len(known)] = known
    return found.reshape(-1, *one)


def read_vocabulary(path: Path) -> dict[str, int]:
    """Token -> id, its line from 0. Raises BadConfig where it cannot be read or a token is there twice."""
    try:
        tokens = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise BadConfig(f"{path}: cannot be read: {error}; name a file in [text] vocabulary") from None
    found: dict[str, int] = {}
    for number, token in enumerate(tokens if tokens[-1] else tokens[:-1]):
        if found.setdefault(token, number) != number:
            raise BadConfig(f"{path}: line {number + 1}: token {token!r} is in line {found[token] + 1} too")
    return found


def _lines(path: Path) -> Iterator[Line]:
    offset = 0
    try:
        with path.open("rb") as stream:
            for number, line in enumerate(stream, 1):
                if line.strip():
                    yield path, number, offset
                offset += len(line)
    except OSError as error:
        raise BadSamples(f"{path}: cannot be read: {error}") from None


class Tokeniser:
    """Lines -> ids, as [text] of a manifest says."""

    def __init__(self, config: Text, vocabulary: dict[str, int], about: Path):
        self.config, self.vocabulary = config, vocabulary
        self.unknown = vocabulary.get(config.unknown)
        self.cut: Cut = {"whitespace": str.split, "character": list, "wordpiece": self._pieces}[config.tokens]
        for key in ("begin", "end", "pad"):
            token = getattr(config, key)
            if token and token not in vocabulary:
                raise BadConfig(f"{about}: text.{key} {token!r} is not in {config.vocabulary}; name another, "
                                f'or write {key} = ""')
        self.pad = vocabulary[config.pad] if config.pad else 0

    def __call__(self, line: Line) -> list[int]:
        path, number, offset = line
        with path.open("rb") as stream:
            stream.seek(offset)
            data = stream.readline()
        try:
            text = data.decode("utf-8").strip()
        except UnicodeDecodeError as error:
            raise BadSamples(f"{path}: line {number} is not UTF-8: {error}") from None
        words = self.cut(_folded(text) if self.config.lowercase else text)
        tokens = [*filter(None, [self.config.begin]), *words, *filter(None, [self.config.end])]
        ids = [self.vocabulary.get(token, self.unknown) for token in tokens]
        if None in ids:
            raise BadSamples(f"{path}: line {number}: token {tokens[ids.index(None)]!r} is not in "
                             f"{self.config.vocabulary}, nor is {self.config.unknown!r} to stand for it")
        return ids

    def _pieces(self, text: str) -> list[str]:
        return [piece for word in _words(text) for piece in self._greedy(word)]

    def _greedy(self, word: str) -> list[str]:
        """The longest known pieces from the left (Wu et al. 2016); one unknown where there is no way."""
        pieces, start = [], 0
        while start < len(word) <= LONGEST_WORD:
            ends = range(len(word), start, -1)
            known = ("##" * (start > 0) + word[start:end] for end in ends)
            piece = next((piece for piece in known if piece in self.vocabulary), None)
            if piece is None:
                return [self.config.unknown]
            pieces.append(piece)
            start += len(piece) - 2 * (start > 0)
        return pieces or [self.config.unknown]


def _folded(text: str) -> str:
    """Lower case without accents (BERT's uncased)."""
    plain = unicodedata.normalize("NFD", text.lower())
    return "".join(char for char in plain if unicodedata.category(char) != "Mn")


def _words(text: str) -> list[str]:
    """Split at spaces, each punctuation mark a word of its own."""
    return "".join(f" {char} " if _is_punctuation(char) else char for char in text).split()


def _is_punctuation(char: str) -> bool:
    """As BERT has it: Unicode's punctuation, and all of ASCII that is neither letter, number nor space."""
    return unicodedata.category(char).startswith("P") or ("!" <= char <= "~" and not char.isalnum())
