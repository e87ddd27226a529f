"""What each output of a network says, so that a student's are held against its teacher's as they should."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch.nn import functional

from toolchain.errors import BadInput
from toolchain.ir.graph import Graph
from toolchain.train.distill import axes_between, relative_loss, soft_loss, yes_no_loss
from toolchain.train.tasks import is_classes, squash_of

Kind = Literal["classes", "yes_no", "numbers", "relative"]

SQUASHED: dict[str, Kind] = {"softmax": "classes", "logistic": "yes_no"}
"""What `squash_of` tells of an output -> what it says."""


@dataclass(frozen=True)
class Answer:
    """An output as it is taught: `student` and `teacher` are the tensors that are compared.

    kind: "classes":  logits of classes that exclude each other, along the last axis: `soft_loss`
          "yes_no":   a logit for each place: `yes_no_loss`
          "numbers":  the mean squared difference
          "relative": the same by the teacher's mean square, where there are several outputs: boxes in pixels
                      and scores share no unit
    """

    kind: Kind
    student: str
    teacher: str

    def loss(self, output: torch.Tensor, target: torch.Tensor, temperature: float) -> torch.Tensor:
        """A scalar: of a batch (n, ...) of the student's, and of the teacher's."""
        if self.kind == "classes":
            return soft_loss(output, target, temperature)
        if self.kind == "yes_no":
            return yes_no_loss(output, target, temperature)
        return (functional.mse_loss if self.kind == "numbers" else relative_loss)(output, target)


def answers_of(student: Graph, teacher: Graph, metric: str) -> tuple[Answer, ...]:
    """Output by output, in order.

    a metric of numbers: all are numbers, of regressors and generators
    one of classes: what a softmax makes, in the student or else in the teacher, is classes, what a sigmoid
                    makes is yes or no, and the logits before it are compared. Of what neither makes, the
                    first output, which the metric reads, is classes, where its last axis is more than 1; all
                    else is numbers, as a detector's boxes
    Raises BadInput where inputs or outputs are not the same, whatever they are called.
    """
    _require_same_ends(student, teacher)
    return tuple(_answer(student, teacher, number, metric) for number in range(len(student.outputs)))


def _answer(student: Graph, teacher: Graph, number: int, metric: str) -> Answer:
    names = student.outputs[number], teacher.outputs[number]
    numbers: Kind = "numbers" if len(student.outputs) == 1 else "relative"
    if not is_classes(metric):
        return Answer(numbers, *names)
    made = [squash_of(graph, name) for graph, name in zip((student, teacher), names)]
    if kind := next((SQUASHED[op] for op, _ in made if op), None):
        return Answer(kind, *(logits for _, logits in made))
    classes = number == 0 and student.tensors[names[0]].shape[-1] > 1
    return Answer("classes" if classes else numbers, *names)


def _require_same_ends(student: Graph, teacher: Graph) -> None:
    def fits(own: tuple[str, ...], others: tuple[str, ...]) -> bool:
        return len(own) == len(others) and all(axes_between(student, name, teacher, its)
                                               for name, its in zip(own, others))

    if not (fits(student.inputs, teacher.inputs) and fits(student.outputs, teacher.outputs)):
        told = [" -> ".join(", ".join(f"{name} {graph.tensors[name].shape}" for name in names)
                            for names in (graph.inputs, graph.outputs)) for graph in (teacher, student)]
        raise BadInput(f"{teacher.name}: cannot teach {student.name}: inputs and outputs {told[0]}, not "
                       f"{told[1]}; give a network of the same task")
