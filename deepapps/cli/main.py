"""The `deepapps` command. TensorFlow is imported only once a command really needs it."""

import logging
import os
import signal
import sys
import traceback

import click

import deepapps
from deepapps.cli.commands import Group
from deepapps.distribution.cluster import find_cluster
from deepapps.distribution.heartbeat import follow_launcher
from deepapps.errors import one_line
from deepapps.files import shown
from deepapps.registry import Registry

COMMANDS = Registry(
    "command",
    {
        "train": "deepapps.cli.train:train",
        "evaluate": "deepapps.cli.use:evaluate",
        "predict": "deepapps.cli.use:predict",
        "explain": "deepapps.cli.use:explain",
        "report": "deepapps.cli.use:report",
        "tune": "deepapps.cli.tune:tune",
        "launch": "deepapps.cli.machine:launch",
        "info": "deepapps.cli.machine:info",
    },
)
SUMMARIES = {
    "train": "Train a task and leave a Run, a folder with its weights, metrics and report.",
    "evaluate": "Measure a Run on a test set.",
    "predict": "Predict from texts or image files with a Run.",
    "explain": "Show why a Run predicts what it does.",
    "report": "Write the report page of a Run or a search anew.",
    "tune": "Search the settings with which a task learns best.",
    "launch": "Run a command in a cluster of processes on this machine.",
    "info": "Show versions, devices, and the strategy that `auto` picks.",
}


def main(arguments=None):
    """Runs the command line and returns its exit status: 0, 2 for a mistake of the user's, else
    1.
    """
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    if "--debug" in arguments:
        os.environ["DEEPAPPS_DEBUG"] = "1"  # which the workers of a cluster see, too
    if hasattr(sys.stdout, "reconfigure"):  # what its encoding has not is written as an escape
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        cluster = find_cluster()
        name = "" if cluster is None or cluster.is_chief else f"{cluster.name}: "
        handler = logging.StreamHandler()
        handler.setFormatter(_Shown(f"{name}%(message)s"))
        logging.basicConfig(handlers=[handler], level=logging.WARNING)
        follow_launcher()
        status = command.main(
            [a for a in arguments if a != "--debug"], "deepapps", standalone_mode=False
        )
        return status if isinstance(status, int) else 0
    except (click.exceptions.Abort, KeyboardInterrupt):
        return 130
    except SystemExit as stop:
        return stop.code
    except BrokenPipeError:  # whoever read the output has ended, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    except Exception as error:
        if "DEEPAPPS_DEBUG" in os.environ:
            traceback.print_exc()
        else:
            print(f"deepapps: {shown(one_line(error))}", file=sys.stderr)
        return 2 if isinstance(error, click.ClickException | ValueError) else 1


class _Shown(logging.Formatter):
    """Warnings, which may hold parts of a file, in lines that a terminal can show."""

    def format(self, record):
        return "\n".join(map(shown, super().format(record).splitlines()))


@click.group(
    cls=Group,
    summaries=SUMMARIES,
    registry=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@click.version_option(deepapps.__version__, message="deepapps %(version)s")
def command():
    """Ready-made deep-learning applications on Keras 3 and TensorFlow.

    Every command also takes --debug, which shows the traceback of an error.
    """
