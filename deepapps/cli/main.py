"""The `deepapps` command. TensorFlow is imported only once a command really needs it."""

import contextlib
import itertools
import json
import logging
import os
import pathlib
import sys
import traceback

import click

import deepapps
from deepapps.apps import configure
from deepapps.cli.options import answering_options, options_of
from deepapps.distribution.cluster import find_cluster, resolve_strategy
from deepapps.distribution.heartbeat import follow_launcher
from deepapps.files import check_ending
from deepapps.runs.named_data import named_data
from deepapps.runs.run import load_run, open_run, versions
from deepapps.settings import TrainingSettings, close_names, read_settings
from deepapps.tasks import TASKS, find_task
from deepapps.tuning.progress import best_row
from deepapps.tuning.search import is_helper, load_search, open_search
from deepapps.tuning.search_settings import SearchSettings
from deepapps.tuning.statistics import mean_and_error
from deepapps.tuning.trial import start_server

PREDICT_LINES = 4096  # answered together, and printed before further ones are read
_CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 110}


def main(arguments=None):
    """Runs the command line and returns its exit status: 0, 2 for a mistake of the user's, else 1."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    if "--debug" in arguments:
        os.environ["DEEPAPPS_DEBUG"] = "1"  # which the workers of a cluster see, too
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        cluster = find_cluster()
        name = "" if cluster is None or cluster.is_chief else f"{cluster.name}: "
        logging.basicConfig(format=f"{name}%(message)s", level=logging.WARNING)
        follow_launcher()
        status = command.main([a for a in arguments if a != "--debug"], "deepapps", standalone_mode=False)
        return status if isinstance(status, int) else 0
    except (click.exceptions.Abort, KeyboardInterrupt):
        return 130
    except SystemExit as stop:
        return stop.code
    except Exception as error:
        if "DEEPAPPS_DEBUG" in os.environ:
            traceback.print_exc()
        else:
            print(f"deepapps: {_one_line(error)}", file=sys.stderr)
        return 2 if isinstance(error, click.ClickException | ValueError) else 1


class _Group(click.Group):
    """Says what is missing, or which names are close, in one line; the command alone shows its help."""

    def parse_args(self, ctx, args):
        if not args and ctx.parent:
            ctx.fail(f"Name one of: {', '.join(self.commands)}. See {ctx.command_path} --help.")
        return super().parse_args(ctx, args or ["--help"])

    def resolve_command(self, ctx, args):
        if args[0] not in self.commands:
            ctx.fail(f"Unknown command {args[0]!r}.{close_names(args[0], self.commands)}")
        return super().resolve_command(ctx, args)


@click.group(cls=_Group, context_settings=_CONTEXT)
@click.version_option(deepapps.__version__, message="deepapps %(version)s")
def command():
    """Ready-made deep-learning applications on Keras 3 and TensorFlow.

    Every command also takes --debug, which shows the traceback of an error.
    """


def _given(options):
    """The options that are given."""
    return {name: value for name, value in options.items() if value is not None}


def _stdin_lines():
    return (line.rstrip("\n") for line in sys.stdin)


@command.group(cls=_Group)
def train():
    """Train a task and leave a Run: its weights, figures and report, in a folder."""


@command.group(cls=_Group)
def tune():
    """Search the settings with which a task learns best."""


_strategy = click.option(
    "--strategy", default="auto", show_default=True, help="`auto`, `none`, `mirrored[:N]` or `multi-worker`."
)


@command.command()
@click.argument("run")
@click.option("--data", help="Other data, in the grammar of the task; default: the Run's own test split.")
@_strategy
@click.option("--json", "as_json", is_flag=True, help="Print JSON alone.")
def evaluate(run, data, strategy, as_json, **answering):
    """Measure the model of RUN on a test set."""
    run, strategy = load_run(run), resolve_strategy(strategy)
    if data is None:
        named = ", ".join(f"{name} {value}" for name, value in named_data(run.settings).items())
        click.echo(f"{run.path}: evaluates on its own data: {named or 'those of its task'}", err=True)
    _start_tensorflow(strategy=strategy)
    figures = run.evaluate(data, strategy, **_given(answering))
    if not _is_chief():
        return
    print(json.dumps(figures)) if as_json else _print_figures({"test": figures})


@command.command()
@click.argument("run")
@click.argument("inputs", nargs=-1, required=True)
@_strategy
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print one JSON object a line, with all that is known of an answer.",
)
def predict(run, inputs, strategy, as_json, **answering):
    """Answer INPUTS (texts, or image files) with the model of RUN; `-` reads them from stdin, one a line."""
    run, strategy = load_run(run), resolve_strategy(strategy)
    if "-" in inputs and find_cluster():
        raise click.UsageError("Several workers cannot read the inputs from stdin: name them.")
    _start_tensorflow(strategy=strategy)
    lines = itertools.chain.from_iterable(_stdin_lines() if item == "-" else [item] for item in inputs)
    while block := list(itertools.islice(lines, PREDICT_LINES)):
        asked = [line for line in block if line]
        answers = iter(
            run.predict(asked, True, strategy, progress=True, **_given(answering)) if asked else ()
        )
        if not _is_chief():
            continue
        for line in block:
            answer = next(answers) if line else {}
            print(json.dumps(answer, ensure_ascii=False) if as_json else _answer_line(answer))
        sys.stdout.flush()


def _answer_line(answer):
    """The answer itself, which comes first in the dict; several labels with commas, none as an empty line."""
    first = next(iter(answer.values()), "")
    return ", ".join(first) if isinstance(first, list) else first


@command.command()
@click.argument("run")
@click.argument("input")
@click.option("--to", required=True, metavar="FILE", help="File to write: .png, or of a text .html as well.")
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
    _start_tensorflow()
    run.explain(input, target).plot(to)
    print(to)


@command.command()
@click.argument("run")
def report(run):
    """Write the report page of RUN, or of a search, anew and print where it is."""
    is_search = (pathlib.Path(run) / "search.json").exists()
    print((load_search(run) if is_search else load_run(run)).report())


@command.command()
def info():
    """Show versions, devices, and the strategy that `auto` would pick."""
    _start_tensorflow()
    import tensorflow as tf

    from deepapps.distribution.strategies import automatic

    devices = [device.name.removeprefix("/physical_device:") for device in tf.config.list_physical_devices()]
    rows = {**versions(), "devices": ", ".join(devices), "cores": os.cpu_count(), "strategy": automatic()}
    for name, value in rows.items():
        print(f"{name:12}{value}")


@command.command(context_settings={"allow_interspersed_args": False})
@click.option("--workers", type=click.IntRange(1), required=True, help="Number of workers.")
@click.option(
    "--parameter-servers",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="Number of parameter servers.",
)
@click.option(
    "--restarts",
    default=5,
    show_default=True,
    type=click.IntRange(0),
    help="Restarts after a worker was killed.",
)
@click.option(
    "--timeout", default=600.0, show_default=True, type=click.FloatRange(0, min_open=True),
    help="Seconds without progress of any worker, after which all are ended.",
)  # fmt: skip
@click.option("--logs", help="Folder for the output of the workers. [default: a temporary one]")
@click.argument("words", nargs=-1, required=True, metavar="COMMAND...")
def launch(words, **options):
    """Run COMMAND, such as `train mnist`, in a cluster of processes on this machine.

    Put -- before COMMAND. `python PROGRAM` runs a program of yours.
    """
    from deepapps.distribution.launch import launch

    if words[0] == "tune":
        raise click.UsageError(
            "A search runs its trials in processes of its own: see `deepapps tune NAME --workers`."
        )
    if words[0] not in (*command.commands, "python") or words[0] == "launch":
        raise click.UsageError(f"Unknown command {words[0]!r}.{close_names(words[0], command.commands)}")
    return launch(words, **options)


def _train_command(name):
    """`deepapps train NAME`, with a flag for every setting of the task and of the training."""
    task = find_task(name)
    options = [
        *options_of(task.Settings),
        *options_of(TrainingSettings, TrainingSettings(**task.training)),
        click.Option(["--output"], help="Folder of the Run. [default: runs/NAME-DATE-TIME]"),
        click.Option(["--resume"], is_flag=True, help="Go on with the Run in --output."),
        click.Option(["--overwrite"], is_flag=True, help="Replace the Run in --output."),
        click.Option(["--settings"], metavar="FILE", help="JSON file of settings; flags come before it."),
        click.Option(["--threads"], type=click.IntRange(1), help="Bound of TensorFlow's thread pools."),
        click.Option(["--json", "as_json"], is_flag=True, help="Print the figures as JSON alone."),
    ]

    def callback(settings, threads, as_json, **given):
        stored = read_settings(settings) if settings else {}
        _run_training(name, threads, as_json, stored | {k: v for k, v in given.items() if v is not None})

    summary = task.__doc__.partition("\n")[0]
    text = f"{summary}\n\nFlags not given take their defaults or, with --resume, what they were in the Run."
    return click.Command(name, params=options, callback=callback, help=text)


def _tune_command(name):
    """`deepapps tune NAME`, with a flag for every setting of the search, of the task and of the training."""
    task = find_task(name)
    fixed = [*options_of(task.Settings), *options_of(TrainingSettings, TrainingSettings(**task.training))]
    own = list(options_of(SearchSettings))
    names = {option.name for option in own}
    options = [
        *own,
        click.Option(["--space"], metavar="FILE", help="Python file with a function `space(hp)`. [default: the task's own]"),
        click.Option(["--output"], help="Folder of the search. [default: runs/tune-NAME-DATE-TIME]"),
        click.Option(["--resume"], is_flag=True, help="Go on with the search in --output."),
        click.Option(["--overwrite"], is_flag=True, help="Replace the search in --output."),
        click.Option(["--json", "as_json"], is_flag=True, help="Print the best settings and figures as JSON alone."),
        *(option for option in fixed if option.name not in names),
    ]  # fmt: skip

    def callback(as_json, **given):
        _run_search(name, as_json, _given(given))

    text = f"Search settings of `train {name}`.\n\nA flag of the task or the training fixes that setting for all trials."
    return click.Command(name, params=options, callback=callback, help=text)


def _run_search(name, as_json, arguments):
    places = {key: arguments.pop(key, None) for key in ("space", "output", "resume", "overwrite")}
    open_search(name, settings=arguments, **places)  # a mistake fails here, before TensorFlow starts
    with _silent_stderr():
        start_server()  # which keeps this stderr
    _start_tensorflow()
    try:
        found = deepapps.search(name, **places, **arguments)
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    if is_helper():
        return
    test = {figure: mean_and_error(values) for figure, values in found.test_figures.items()}
    best = best_row(found.trials, found.objectives)
    if as_json:
        figures = {figure: {"mean": mean, "error": error} for figure, (mean, error) in test.items()}
        print(json.dumps({"settings": found.best_settings, "validation": best.figures, "test": figures}))
        return
    _print_search(best, test)
    print(
        f"Settings: {found.path / 'best.json'}\nSearch:   {found.path}\nReport:   {found.path / 'report' / 'index.html'}"
    )


def _print_search(best, test):
    """The score of the best trial beside the figures of its settings with fresh seeds."""
    from rich.console import Console
    from rich.table import Table

    table = Table("", f"trial {best.trial}: validation", "fresh seeds: test", "standard error")
    for name in dict.fromkeys(
        [*(key.removeprefix("val_") for key in best.figures if key != "pruned"), *test]
    ):
        value = best.figures.get(f"val_{name}", best.figures.get(name))
        table.add_row(name, _cell(value), *map(_cell, test.get(name, (None, None))))
    Console().print(table)


def _run_training(name, threads, as_json, arguments):
    folders = {key: arguments.pop(key) for key in ("output", "resume", "overwrite") if key in arguments}
    resumed = folders.get("output") if folders.get("resume") else None
    task, training = configure(name, arguments, resumed)
    # a mistake fails here, before TensorFlow starts
    strategy = resolve_strategy(open_run(task, training, **folders).training.strategy)
    _start_tensorflow(threads, strategy)
    try:
        run = deepapps.train(task, **folders, **training)
    except KeyboardInterrupt:  # click would add an empty line to what has been said
        raise SystemExit(130) from None
    if not _is_chief():
        return
    if as_json:
        print(json.dumps(run.metrics))
        return
    _print_figures(run.metrics)
    print(f"Run:    {run.path}\nReport: {run.path / 'report' / 'index.html'}")


def _is_chief():
    """Whether it is for this process to print: all, but the further workers of a cluster."""
    cluster = find_cluster()
    return cluster is None or cluster.is_chief


def _start_tensorflow(threads=None, strategy=""):
    """Imports TensorFlow without its greetings, and sets what it must know before its first operation."""
    with _silent_stderr():
        import tensorflow as tf
    tf.get_logger().setLevel(logging.ERROR)
    from deepapps.distribution.strategies import prepare_devices

    prepare_devices(strategy, threads)


@contextlib.contextmanager
def _silent_stderr():
    """Keeps native code, which writes to the file descriptor, from writing to stderr."""
    kept, nothing = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nothing)


def _print_figures(metrics):
    """The scalar figures as a table on stdout, one column a split."""
    from rich.console import Console
    from rich.table import Table

    table = Table("", *metrics)
    for name in dict.fromkeys(name for figures in metrics.values() for name in figures):
        values = [figures.get(name) for figures in metrics.values()]
        if all(isinstance(value, str | int | float | None) for value in values):
            table.add_row(name, *map(_cell, values))
    Console().print(table)


def _cell(value):
    """A figure as text."""
    if value is None or isinstance(value, str):
        return value or "-"
    return f"{value:.0f}" if value >= 1000 else f"{value:.4f}"


def _one_line(error):
    """What went wrong, in one line, with the close names for an unknown flag or command."""
    text = error.format_message() if isinstance(error, click.ClickException) else str(error)
    if isinstance(error, OSError) and error.strerror:
        text = f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    lines = [line.strip() for line in text.splitlines() if line.strip()] or [type(error).__name__]
    return " ".join(lines) if isinstance(error, click.ClickException) else lines[0]


for _name in TASKS:
    train.add_command(_train_command(_name))
    tune.add_command(_tune_command(_name))
for _command in (evaluate, predict):
    _command.params.extend(answering_options())
