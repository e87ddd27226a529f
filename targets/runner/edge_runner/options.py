"""The command line's key=value words."""

import re

from edge_runner.fail import INPUT, fail

TEXTS = ("input", "output", "other", "other_input", "library", "scratch", "cpus")
NUMBERS = {"threads": (1, 64, 1), "least": (1, 10_000_000, 1), "most": (1, 10**10, 1_000_000),
           "every": (1, 1_000_000, 1), "counted": (0, 1000, 10), "watch_ms": (1, 3_600_000, 250),
           "pairs": (1, 10_000, 1), "block_us": (1, 60_000_000, 100_000), "first": (0, 1, 0)}
"""Key -> least, most, and what it is where it is not given."""
WATCHED = 16


def read_options(words):
    """Key -> value, of all keys. seconds: a float; watch: a list."""
    options = {**dict.fromkeys(TEXTS), **{key: number[2] for key, number in NUMBERS.items()},
               "seconds": 1.0, "watch": []}
    for word in words:
        key, _, value = word.partition("=")
        if not value:
            fail(INPUT, f"{word}: not key=value")
        if key == "watch":
            options["watch"].append(value)
        elif key in NUMBERS:
            options[key] = whole(word, value, *NUMBERS[key][:2])
        elif key == "seconds":
            options[key] = float(value) if re.fullmatch(r"\d{1,5}(\.\d{1,3})?", value, re.ASCII) \
                else fail(INPUT, f"{word}: a number of seconds, at most three digits behind the point")
        elif key in TEXTS:
            options[key] = value
        else:
            fail(INPUT, f"{word}: unknown key")
    if options["least"] > options["most"] or len(options["watch"]) > WATCHED:
        fail(INPUT, f"least= is more than most=, or more than {WATCHED} files are watched")
    return options


def whole(word, text, least, most):
    if not re.fullmatch(r"\d{1,12}", text, re.ASCII) or not least <= int(text) <= most:
        fail(INPUT, f"{word}: a number from {least} to {most} is asked for")
    return int(text)


def cpu_numbers(text):
    return {whole("cpus=" + text, cpu, 0, 63) for cpu in text.split(",")}
