"""What becomes of translations before they are samples."""

import gettext
import io
import struct

import numpy as np
import prepare_messages
from prepare_messages import (
    LENGTH,
    SHARES,
    as_samples,
    encoded,
    plain,
    read_catalogue,
    split_of,
    telling,
    vocabulary_of,
)
import pytest
from sample_set import ROOT

HEADER = "Content-Type: text/plain; charset=UTF-8\n"
LONG = "a text that is long enough"


def catalogue(entries: dict[str, str]) -> bytes:
    """An .mo file as msgfmt writes it: header, two tables, texts."""
    pairs = sorted({"": HEADER, **entries}.items())
    tables, data = b"", b""
    for text in (column[place].encode() for place in range(2) for column in pairs):
        tables += struct.pack("<2I", len(text), 28 + 16 * len(pairs) + len(data))
        data += text + b"\0"
    header = struct.pack("<7I", 0x950412DE, 0, len(pairs), 28, 28 + 8 * len(pairs), 0, 0)
    return header + tables + data


def test_catalogues_are_read_as_gettext_reads_them():
    mo = catalogue({"%d day\0%d days": "%d день\0%d дня\0%d дней", "month\x04May": "май", "Yes": "Да"})
    theirs = gettext.GNUTranslations(io.BytesIO(mo))
    assert read_catalogue(mo) == {"%d day": theirs.ngettext("%d day", "%d days", 1),
                                  "May": theirs.pgettext("month", "May"), "Yes": theirs.gettext("Yes")}


def test_a_catalogue_of_the_other_byte_order_is_refused():
    with pytest.raises(ValueError, match="begins with 0xde120495, a little-endian catalogue with 0x950412de"):
        read_catalogue(struct.pack(">7I", 0x950412DE, 0, 0, 28, 28, 0, 0))


@pytest.mark.parametrize("text, stays", [
    ("Delete %(count)d %(items)s?", "delete ?"), ("a\n  <a href=\"{url}\">Seite</a>&nbsp;B", "a seite b"),
    ("100%% of {total:d} in %s", "100 of in")])
def test_what_no_translator_touches_tells_no_language(text, stays):
    assert plain(text) == stays


def test_what_tells_no_language_is_left_out():
    messages = [("one", "de", LONG), ("two", "da", "en besked på dansk"), ("one", "da", "også på dansk, og"),
                ("two", "nb", "også på dansk, og"), ("two", "sv", "för kort"),
                ("three", "de", LONG)]
    assert telling(messages) == [("one", "de", LONG), ("two", "da", "en besked på dansk")]


def test_texts_that_differ_beyond_what_a_sample_holds_are_the_same():
    start = "a" * LENGTH
    assert telling([("one", "de", start + "b"), ("two", "de", start + "c")]) == [("one", "de", start)]


def test_a_message_is_in_one_split_in_all_languages():
    originals = [f"message {i}" for i in range(300)]
    arrays, _ = as_samples([(one, language, f"{language} {LONG} {one}")
                            for one in originals for language in ("de", "en")])
    assert np.array_equal(arrays["split"][::2], arrays["split"][1::2])
    assert np.array_equal(arrays["message"][::2], arrays["message"][1::2])
    assert np.bincount(arrays["split"]).tolist() == [2 * (300 - sum(SHARES.values())),
                                                     *(2 * count for count in SHARES.values())]
    assert split_of(reversed(originals)) == split_of(originals)


def test_characters_are_numbered_by_the_vocabulary_of_training_messages():
    known = vocabulary_of(["abba b"] * 3 + ["z"])
    assert known == ["[PAD]", "[UNK]", "a", "b"]
    found = encoded("bz a", {char: number for number, char in enumerate(known)})
    assert found.shape == (LENGTH, 1) and found.dtype == np.uint8
    assert found[:, 0].tolist() == [3, 1, 1, 2] + [0] * (LENGTH - 4)


@pytest.mark.slow
def test_the_committed_set_and_vocabulary_are_what_the_script_makes(tmp_path, monkeypatch):
    committed = prepare_messages.VOCABULARY.read_bytes()
    monkeypatch.setattr("sample_set.ROOT", tmp_path)
    monkeypatch.setattr(prepare_messages, "VOCABULARY", tmp_path / "vocabulary.txt")
    prepare_messages.main()
    assert (tmp_path / "vocabulary.txt").read_bytes() == committed
    for file in ("manifest.toml", "samples.npz"):
        assert (tmp_path / "messages" / file).read_bytes() == (ROOT / "messages" / file).read_bytes()
