"""`edge prune`."""

from pathlib import Path
from typing import Annotated

import typer

from toolchain.cli.app import (
    Checkpoint,
    Data,
    Json,
    Model,
    Quiet,
    ShapeOption,
    shapes_of,
    show,
    speaker,
    verb,
)
from toolchain.errors import BadInput


def _amount(help: str):
    return Annotated[str | None, typer.Option(metavar="AMOUNT", help=help)]


def _choice(help: str):
    return Annotated[str | None, typer.Option(help=help)]


@verb
def prune(model: Model, out: Annotated[Path | None, typer.Option(
              help="The float .tflite or .onnx file to write.")] = None,
          target: Annotated[str | None, typer.Option(help="What it is for; see `edge targets`.")] = None,
          data: Data = None,
          ratio: _amount("Share of the channels that go.") = None,
          macs: _amount("Most multiply-accumulates: below 1 a share of what it has, else a number.") = None,
          parameters: _amount("Most parameters, as --macs.") = None,
          flash: _amount('Most flash of the INT8 network: a share, or bytes as "256kB".') = None,
          ram: _amount('Most RAM of its C: a share, or bytes as "64kB".') = None,
          latency_us: _amount("Most microseconds on the target: a share or a number.") = None,
          instructions: _amount("Most instructions on the target: a share or a number.") = None,
          low_rank: _amount("Instead, or besides: most MACs, as --macs, of ops parted in two thinner ones."
                            ) = None,
          sparsity: _amount("Instead, or besides: share of single weights that become zero.") = None,
          clusters: Annotated[int | None, typer.Option(
              min=2, max=256, help="Instead, or besides: values that the weights of an op share.")] = None,
          importance: _choice("How channels are judged; see docs/pruning.md.") = None,
          scope: _choice("global, layer or sensitivity.") = None,
          schedule: _choice("one_shot, iterative, gradual, batch_norm_l1 or gates.") = None,
          steps: Annotated[int | None, typer.Option(
              min=1, help="Of the iterative and the gradual schedule.")] = None,
          blocks: Annotated[bool, typer.Option("--blocks", help="Whole residual branches may go.")] = False,
          heads: Annotated[bool, typer.Option(
              "--heads", help="Whole heads of attention go, not the same channels of each.")] = False,
          keep: Annotated[list[str] | None, typer.Option(
              help="An op whose channels all stay, or a pattern; repeatable.")] = None,
          channel_multiple: Annotated[int | None, typer.Option(
              min=1, help="Keep multiples of this; default: what the target's table favours.")] = None,
          epochs: Annotated[int | None, typer.Option(
              min=0, help="Of training, taught by the unpruned network; default 10 with samples.")] = None,
          learning_rate: Annotated[float | None, typer.Option(help="Of training, the highest.")] = None,
          recipe: Annotated[Path | None, typer.Option(help="A recipe.toml to start from.")] = None,
          explain: Annotated[bool, typer.Option(
              "--explain", help="List every group with its scores, and what stays and why; write nothing."
          )] = False,
          shape: ShapeOption = None, checkpoint: Checkpoint = None, json: Json = False,
          quiet: Quiet = False) -> None:
    """Make a trained network smaller: what matters least of it goes, and the rest is trained again."""
    from toolchain.profile import load_target
    from toolchain.recipe import Recipe, load_recipe, with_shapes

    start = with_shapes(load_recipe(recipe) if recipe else Recipe(), shapes_of(shape))
    profile = load_target(target) if target else None
    from toolchain.pruning import Subject, explain_model, prune_model, prune_text, recipe_of

    budget = {"ratio": ratio, "macs": macs, "parameters": parameters, "flash": flash, "ram": ram,
              "latency_us": latency_us, "instructions": instructions}
    wanted = recipe_of(
        start, data is not None,
        {**{name: _number(name, text) for name, text in budget.items()}, "importance": importance,
         "scope": scope, "schedule": schedule, "steps": steps, "blocks": blocks or None,
         "heads": heads or None, "keep": keep or None, "channel_multiple": channel_multiple},
        {"macs": _number("low_rank", low_rank)}, {"sparsity": _number("sparsity", sparsity)},
        {"clusters": clusters}, {"epochs": epochs, "learning_rate": learning_rate})
    subject = Subject(model=model, recipe=wanted, profile=profile, data=data, checkpoint=checkpoint)
    if explain:
        from toolchain.report.pruning import explanation_table

        found = explain_model(subject, speaker(quiet))
        show(json, found, explanation_table(found))
        return
    if out is None:
        raise BadInput("name the file to write with --out, or look with --explain")
    made = prune_model(subject, out, speaker(quiet), quiet=quiet)
    show(json, made, prune_text(made))


def _number(name: str, text: str | None) -> float | str | None:
    """What a budget's text says: a number, or as it is where bytes may have a unit. Raises BadInput."""
    try:
        return None if text is None else float(text)
    except ValueError:
        if name in ("flash", "ram"):
            return text
        option = name.replace("_", "-")
        raise BadInput(f"--{option} {text}: must be a number, below 1 a share of the whole") from None
