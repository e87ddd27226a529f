"""Lines of text become the ids of a vocabulary, as long as the network takes them."""

import numpy as np
import pytest

from toolchain.data import load_samples
from toolchain.errors import BadConfig, BadSamples
from toolchain.ir.build import Builder

BERT = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "un", "##aff", "##able", "the", ",", "cafe", "!"]


def write(folder, lines, vocabulary, text=""):
    (folder / "lines.txt").write_text("\n".join(lines), encoding="utf-8")
    (folder / "vocabulary").write_text("\n".join(vocabulary), encoding="utf-8")
    (folder / "manifest.toml").write_text(f'kind = "text"\n[text]\nvocabulary = "vocabulary"\n{text}')
    return folder


def graph_taking(length, *names):
    builder = Builder("net")
    for name in names:
        builder.input(name, (1, length), "int32")
    return builder.graph(names[0])


def test_wordpiece_is_bert_s(tmp_path):
    """The example of google-research/bert's tokenization.py: unaffable -> un ##aff ##able."""
    write(tmp_path, ["Unaffable, the CAFÉ!", "", "the xyz"], BERT,
          'tokens = "wordpiece"\nlowercase = true\nbegin = "[CLS]"\nend = "[SEP]"')
    samples = load_samples(tmp_path)
    assert len(samples) == 2
    assert samples.x["x"][:].tolist() == [[2, 4, 5, 6, 8, 7, 9, 10, 3], [2, 7, 1, 3, 0, 0, 0, 0, 0]]
    assert samples.called(1) == "1 (lines.txt, line 3)"


@pytest.mark.parametrize("length, expected", [(2, [[3, 2], [2, 3]]), (4, [[3, 2, 3, 0], [2, 3, 0, 0]])])
def test_lines_are_cut_or_padded_to_the_network(tmp_path, length, expected):
    write(tmp_path, ["b a b", "a b"], ["[PAD]", "[UNK]", "a", "b"])
    fitted = load_samples(tmp_path).take(2).fit_to(graph_taking(length, "tokens"))
    assert fitted.feeds(slice(0, 2))["tokens"].tolist() == expected


def test_characters_and_a_mask(tmp_path):
    write(tmp_path, ["ba", "b"], ["_", "a", "b"],
          'tokens = "character"\npad = "_"\ninput = "ids"\nmask = "mask"')
    feeds = load_samples(tmp_path).fit_to(graph_taking(3, "ids", "mask")).feeds(np.array([1, 0]))
    assert feeds["ids"].tolist() == [[2, 0, 0], [2, 1, 0]]
    assert feeds["mask"].tolist() == [[1, 0, 0], [1, 1, 0]]


@pytest.mark.parametrize("vocabulary, text, error, message", [
    (["[PAD]", "a"], "", BadSamples, r"lines.txt: line 1: token 'b' is not in vocabulary, nor is '\[UNK\]'"),
    (["a", "b"], "", BadConfig, r"text.pad '\[PAD\]' is not in vocabulary; name another, or write"),
    (["[PAD]", "a", "a"], "", BadConfig, "vocabulary: line 3: token 'a' is in line 2 too"),
    (["[PAD]", "a"], 'tokens = "bpe"', BadConfig, "text.tokens"),
])
def test_what_is_wrong_is_said(tmp_path, vocabulary, text, error, message):
    with pytest.raises(error, match=message):
        load_samples(write(tmp_path, ["b a"], vocabulary, text))


def test_text_without_a_vocabulary_says_what_to_write(tmp_path):
    (tmp_path / "a.txt").write_text("hello")
    with pytest.raises(BadConfig, match=r'a.txt: has no \[text\]; write \[text\] vocabulary = "vocab.txt"'):
        load_samples(tmp_path / "a.txt")
