"""The data that a Run names: what is said of them, and what may be opened, when it comes from a
stranger.
"""

import os
import pathlib

from deepapps.data.tfds import is_prepared
from deepapps.settings import Settings

SETTINGS = ("data", "validation", "test", "embeddings")  # those that name data
DEVICES = ("/dev", "/proc", "/sys")


def named_data(settings: Settings) -> dict[str, str]:
    """The data that the settings of a task name, `{setting: value}`."""
    named = {name: getattr(settings, name, None) for name in SETTINGS}
    return {name: value for name, value in named.items() if isinstance(value, str)}


def check_named_data(path: pathlib.Path, named: dict[str, str]) -> None:
    """Raises ValueError for data that would be downloaded, or that are no files.

    Args:
        path: The Run, for the message.
        named: What `named_data` returns.
    """
    for setting, value in named.items():
        if value.startswith("tfds:") and not is_prepared(value.removeprefix("tfds:")):
            raise ValueError(
                f"{path}: its `{setting}` is {value}, which is not on this machine, and nothing is "
                f"downloaded for a Run. Name data to evaluate on (--data {value} downloads them)."
            )
        for part in {value, *value.split(":")}:  # a pair of files stands with a colon
            _check_file(path, setting, part)


def _check_file(path, setting, name):
    """Raises ValueError when a name is that of something other than a file, or a folder of
    files.
    """
    name = os.path.expanduser(name)  # as those do that read it
    if not os.path.lexists(name):
        return
    for file in (name, *_below(name)):
        real = os.path.realpath(file)
        if not os.path.isfile(real) and not os.path.isdir(real) and os.path.lexists(real):
            raise ValueError(
                f"{path}: its `{setting}` is {name}, and {file} is no regular file. It is not "
                "opened."
            )
        if real.startswith(tuple(f"{folder}/" for folder in DEVICES)):
            raise ValueError(
                f"{path}: its `{setting}` leads to {real}, a file of the system. It is not opened."
            )


def _below(folder):
    """All files in a folder and below."""
    return (os.path.join(place, name) for place, _, names in os.walk(folder) for name in names)
