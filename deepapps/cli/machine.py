"""Commands about this machine: info, launch."""

import os

import click

from deepapps.cli import start
from deepapps.distribution.launch import launch as run_cluster
from deepapps.settings import close_names


@click.command()
def info():
    """Show versions, devices, and the strategy that `auto` would pick."""
    start.start_tensorflow()
    from deepapps.distribution.strategies import automatic, devices
    from deepapps.runs.work import versions

    rows = {
        **versions(),
        "devices": ", ".join(devices()),
        "cores": os.cpu_count(),
        "strategy": automatic(),
    }
    for name, value in rows.items():
        print(f"{name:12}{value}")


@click.command(context_settings={"allow_interspersed_args": False})
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
    "--timeout",
    default=600.0,
    show_default=True,
    type=click.FloatRange(0, min_open=True),
    help="Seconds without progress of any worker, after which all are ended.",
)
@click.option("--logs", help="Folder for the output of the workers. [default: a temporary one]")
@click.argument("words", nargs=-1, required=True, metavar="COMMAND...")
@click.pass_context
def launch(context, words, **options):
    """Run COMMAND, such as `train mnist`, in a cluster of processes on this machine.

    Put -- before COMMAND. `python PROGRAM` runs a program of yours.
    """
    if words[0] == "tune":
        raise click.UsageError(
            "A search runs its trials in processes of its own: see `deepapps tune NAME --workers`."
        )
    names = context.parent.command.list_commands(context)
    if words[0] not in (*names, "python") or words[0] == "launch":
        raise click.UsageError(f"Unknown command {words[0]!r}.{close_names(words[0], names)}")
    return run_cluster(words, **options)
