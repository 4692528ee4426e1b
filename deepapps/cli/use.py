"""Commands that use a Run: evaluate, predict, explain, report."""

import itertools
import json

import click

from deepapps.cli import start
from deepapps.cli.commands import given
from deepapps.cli.inputs import read_inputs
from deepapps.cli.options import answering_options
from deepapps.cli.output import AnswerPrinter, print_figures
from deepapps.distribution.cluster import find_cluster, resolve_strategy
from deepapps.files import check_ending, path_of
from deepapps.runs.named_data import named_data
from deepapps.runs.opening import load_run
from deepapps.tuning.search import load_search

PREDICT_LINES = 4096  # answered together, and printed before further ones are read


_strategy = click.option(
    "--strategy",
    default="auto",
    show_default=True,
    help="`auto`, `none`, `mirrored[:N]` or `multi-worker`.",
)


@click.command()
@click.argument("run")
@click.option(
    "--data", help="Other data, in the grammar of the task; default: the Run's own test split."
)
@_strategy
@click.option("--json", "as_json", is_flag=True, help="Print JSON alone.")
def evaluate(run, data, strategy, as_json, **answering):
    """Measure the model of RUN on a test set."""
    run, strategy = load_run(run), resolve_strategy(strategy)
    if data is None:
        named = ", ".join(f"{name} {value}" for name, value in named_data(run.settings).items())
        click.echo(
            f"{run.path}: evaluates on its own data: {named or 'those of its task'}", err=True
        )
    start.start_tensorflow(strategy=strategy)
    figures = run.evaluate(data, strategy, **given(answering))
    if not start.is_chief():
        return
    print(json.dumps(figures)) if as_json else print_figures({"test": figures})


@click.command()
@click.argument("run")
@click.argument("inputs", nargs=-1, required=True)
@_strategy
@click.option(
    "--column",
    "columns",
    multiple=True,
    help="Column of a .csv or .tsv that holds the inputs; twice for pairs.",
)
@click.option("--csv", "style", flag_value="csv", help="Print a table, with the inputs.")
@click.option(
    "--json",
    "style",
    flag_value="json",
    help="Print one JSON object a line, with the input and all that is known of an answer.",
)
def predict(run, inputs, strategy, columns, style, **answering):
    """Answer INPUTS with the model of RUN.

    INPUTS are texts, or image files and folders of them. A .csv or .tsv gives the inputs of its
    column, a .txt a text a line, and `-` reads them from stdin, one a line.
    """
    run, strategy = load_run(run), resolve_strategy(strategy)
    kind = run.task.input_kind
    if kind in ("series", None):
        raise click.UsageError(
            "The inputs of this Run are arrays: predict from Python, "
            "deepapps.load_run(RUN).predict(arrays)."
        )
    if "-" in inputs and find_cluster():
        raise click.UsageError("Several workers cannot read the inputs from stdin: name them.")
    start.start_tensorflow(strategy=strategy)
    printer = AnswerPrinter(style or "lines", kind)
    lines = read_inputs(inputs, kind, run.settings, columns)
    while block := list(itertools.islice(lines, PREDICT_LINES)):
        asked = [line for line in block if line]
        answers = iter(
            run.predict(asked, True, strategy, progress=True, **given(answering)) if asked else ()
        )
        if start.is_chief():
            printer.print(block, [next(answers) if line else {} for line in block])


@click.command()
@click.argument("run")
@click.argument("input")
@click.option(
    "--to", required=True, metavar="FILE", help="File to write: .png, or of a text .html as well."
)
@click.option(
    "--target",
    metavar="ANSWER",
    help="Class to explain, or translation to align; default: what the model answers.",
)
def explain(run, input, to, target):
    """Show why the model of RUN answers INPUT (a text, or an image file) as it does."""
    run = load_run(run)
    if run.task.explanations:
        check_ending(to, run.task.explanations)
    start.start_tensorflow()
    run.explain(input, target).plot(to)
    print(to)


@click.command()
@click.argument("run")
def report(run):
    """Write the report page of RUN, or of a search, anew and print where it is."""
    is_search = (path_of(run) / "search.json").exists()
    print((load_search(run) if is_search else load_run(run)).report())


for _command in (evaluate, predict):
    _command.params.extend(answering_options())
