"""`deepapps tune NAME`."""

import json

import click
from rich.console import Console
from rich.table import Table

import deepapps
from deepapps.cli import start
from deepapps.cli.commands import Group, given
from deepapps.cli.options import options_of
from deepapps.cli.output import cell
from deepapps.distribution.pool import start_server
from deepapps.settings import TrainingSettings
from deepapps.tasks import TASKS, find_task
from deepapps.tensorflow_start import check_backend, silent_stderr
from deepapps.tuning.progress import best_row
from deepapps.tuning.search import open_search
from deepapps.tuning.search_settings import SearchSettings
from deepapps.tuning.statistics import mean_and_error
from deepapps.tuning.trial import PRELOADED, is_helper


@click.group(cls=Group)
def tune():
    """Search the settings with which a task learns best."""


def _tune_command(name):
    """`deepapps tune NAME`, with a flag for every setting of the search, of the task and of the
    training.
    """
    task = find_task(name)
    fixed = [
        *options_of(task.Settings),
        *options_of(TrainingSettings, TrainingSettings(**task.training)),
    ]
    own = list(options_of(SearchSettings))
    names = {option.name for option in own}
    options = [
        *own,
        click.Option(
            ["--space"],
            metavar="FILE",
            help="Python file with a function `space(hp)`. [default: the task's own]",
        ),
        click.Option(
            ["--output"], help="Folder of the search. [default: runs/tune-NAME-DATE-TIME]"
        ),
        click.Option(["--resume"], is_flag=True, help="Go on with the search in --output."),
        click.Option(["--overwrite"], is_flag=True, help="Replace the search in --output."),
        click.Option(
            ["--json", "as_json"],
            is_flag=True,
            help="Print the best settings and figures as JSON alone.",
        ),
        *(option for option in fixed if option.name not in names),
    ]

    def callback(as_json, **options):
        _run(name, as_json, given(options))

    text = (
        f"Search settings of `train {name}`.\n\nA flag of the task or the training fixes that "
        "setting for all trials."
    )
    return click.Command(name, params=options, callback=callback, help=text)


def _run(name, as_json, arguments):
    places = {key: arguments.pop(key, None) for key in ("space", "output", "resume", "overwrite")}
    # a mistake fails here, before TensorFlow starts
    open_search(name, settings=arguments, **places)
    check_backend()
    with silent_stderr():
        start_server(PRELOADED)  # which keeps this stderr
    start.start_tensorflow()
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
        print(
            json.dumps(
                {"settings": found.best_settings, "validation": best.figures, "test": figures}
            )
        )
        return
    _print_search(best, test)
    print(
        f"Settings: {found.path / 'best.json'}\nSearch:   {found.path}\nReport:   "
        f"{found.path / 'report' / 'index.html'}"
    )


def _print_search(best, test):
    """The score of the best trial beside the figures of its settings with fresh seeds."""
    table = Table("", f"trial {best.trial}: validation", "fresh seeds: test", "standard error")
    for name in dict.fromkeys(
        [*(key.removeprefix("val_") for key in best.figures if key != "pruned"), *test]
    ):
        value = best.figures.get(f"val_{name}", best.figures.get(name))
        table.add_row(name, cell(value), *map(cell, test.get(name, (None, None))))
    Console().print(table)


for _name in TASKS:
    tune.add_command(_tune_command(_name))
