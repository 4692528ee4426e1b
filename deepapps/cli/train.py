"""`deepapps train NAME`."""

import json

import click

import deepapps
from deepapps.apps import configure
from deepapps.cli import start
from deepapps.cli.commands import Group
from deepapps.cli.options import options_of
from deepapps.cli.output import print_figures
from deepapps.distribution.cluster import resolve_strategy
from deepapps.runs.opening import open_run
from deepapps.settings import TrainingSettings, read_settings
from deepapps.tasks import TASKS, find_task


@click.group(cls=Group)
def train():
    """Train a task and leave a Run: its weights, metrics and report, in a folder."""


def _train_command(name):
    """`deepapps train NAME`, with a flag for every setting of the task and of the training."""
    task = find_task(name)
    options = [
        *options_of(task.Settings),
        *options_of(TrainingSettings, TrainingSettings(**task.training)),
        click.Option(["--output"], help="Folder of the Run. [default: runs/NAME-DATE-TIME]"),
        click.Option(["--resume"], is_flag=True, help="Go on with the Run in --output."),
        click.Option(["--overwrite"], is_flag=True, help="Replace the Run in --output."),
        click.Option(
            ["--settings"], metavar="FILE", help="JSON file of settings; flags come before it."
        ),
        click.Option(
            ["--threads"], type=click.IntRange(1), help="Bound of TensorFlow's thread pools."
        ),
        click.Option(["--json", "as_json"], is_flag=True, help="Print the figures as JSON alone."),
    ]

    def callback(settings, threads, as_json, **given):
        stored = read_settings(settings) if settings else {}
        _run(name, threads, as_json, stored | {k: v for k, v in given.items() if v is not None})

    summary = task.__doc__.partition("\n")[0]
    text = (
        f"{summary}\n\nFlags not given take their defaults or, with --resume, what they were in "
        "the Run."
    )
    return click.Command(name, params=options, callback=callback, help=text)


def _run(name, threads, as_json, arguments):
    folders = {
        key: arguments.pop(key) for key in ("output", "resume", "overwrite") if key in arguments
    }
    resumed = folders.get("output") if folders.get("resume") else None
    task, training = configure(name, arguments, resumed)
    # a mistake fails here, before TensorFlow starts
    strategy = resolve_strategy(open_run(task, training, **folders).training.strategy)
    start.start_tensorflow(threads, strategy)
    try:
        run = deepapps.train(task, **folders, **training)
    except KeyboardInterrupt:  # click would add an empty line to what has been said
        raise SystemExit(130) from None
    if not start.is_chief():
        return
    if as_json:
        print(json.dumps(run.metrics))
        return
    print_figures(run.metrics)
    print(f"Run:    {run.path}\nReport: {run.path / 'report' / 'index.html'}")


for _name in TASKS:
    train.add_command(_train_command(_name))
