"""What a search costs beside its trials: by processes that share it, and with how many trials it has."""

from collections.abc import Callable, Iterator, Sequence
import multiprocessing
from multiprocessing.sharedctypes import SynchronizedArray
from pathlib import Path
from statistics import median
import time

from figures import table
import numpy as np
import optuna

from tests.ledger.processes import ended, forked
from toolchain.ledger.ledger import Ledger
from toolchain.recipe import Recipe, TrainConfig
from toolchain.search.needs import needs_of
from toolchain.search.space import Point, Space
from toolchain.search.study import Study
from toolchain.search.trial import Outcome
from toolchain.search_section import SearchConfig, Variable
from toolchain.searching import Search
