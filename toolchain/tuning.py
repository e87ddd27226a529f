"""Training of a network that was made smaller, by what it was."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from toolchain.data import Samples
from toolchain.features import embedding
from toolchain.ir.graph import Graph
from toolchain.recipe import Recipe
from toolchain.runtime.additions import Addition


@dataclass(frozen=True, eq=False)
class Tuning:
    """What it is trained with: a recipe's [train], its metric and its seed, and what `Shrinking` has."""

    recipe: Recipe
    samples: Samples
    teacher: Graph
    folder: Path | None
    say: Callable[[str], None]
    progress: Callable | None

    def run(self, graph: Graph, epochs: int, additions: Sequence[Addition], before: int,
            by: Callable | None = None) -> Graph:
        """The graph after so many epochs. Steps of a recipe see batches of their own.

        before: epochs of the phases that lie before this one
        by:     takes what `fit` takes, which trains where it is None; what it gives is given back
        """
        if by is None:
            from toolchain.train.fit import fit as by

        recipe, samples = self.recipe, self._training()
        config = msgspec.structs.replace(recipe.train, epochs=epochs)
        self.say(self._told(epochs, samples))
        selection = self.samples.split("selection").fit_to(graph) if config.patience else None
        return by(graph, config, samples.fit_to(graph), self.teacher, recipe.seed + len(recipe.earlier),
                  recipe.metric, self._counted(before), selection=selection,
                  embed=embedding(recipe.features) if selection else None, additions=additions,
                  checkpoint=self.folder / "checkpoint" if self.folder else None)

    def _training(self) -> Samples:
        """Samples of training; where there are none those of calibration, from which only the teacher is
        learned."""
        if self.samples.has("train"):
            return self.samples.split("train")
        return replace(self.samples.split("calibration"), y=None)

    def _told(self, epochs: int, samples: Samples) -> str:
        train = self.recipe.train
        by = f", taught by {train.teacher}" if train.teacher else ""
        few = not self.samples.has("train") and not train.loader
        on = f", on {len(samples)} calibration samples without labels" if few else ""
        return f"tuning for {epochs} epochs{by}{on}"

    def _counted(self, before: int) -> Callable | None:
        """Tells `progress` of a phase's epochs as epochs of the whole."""
        if self.progress is None:
            return None
        return lambda epoch: self.progress(replace(epoch, number=before + epoch.number,
                                                   epochs=self.recipe.train.epochs))


def epochs_of(recipe: Recipe) -> int:
    """Of training, those of steps before among them."""
    return sum(step.train.epochs for step in (*recipe.earlier, recipe) if step.train)
