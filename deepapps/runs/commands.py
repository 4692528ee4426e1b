"""Commands that repeat what was done: settings as flags of `deepapps`."""

import os
import shlex


def is_flag(name, value):
    """Whether a flag can say the value of a setting: not that there is none, nor an object."""
    if name == "strategy":
        return not value.endswith("Strategy")  # the class of one that was given ready
    return value is not None and (name == "class_weight" or not isinstance(value, dict))


def flags(values):
    """The command-line flags that say the values of settings."""
    words = []
    for name, value in values.items():
        flag = name.replace("_", "-")
        if name == "progress":
            continue
        if isinstance(value, bool):
            words.append(f"--{flag}" if value else f"--no-{flag}")
        elif isinstance(value, dict):
            words += [f"--{flag}", ",".join(f"{key}={item}" for key, item in value.items())]
        elif value is not None:
            words += [f"--{flag}", str(value)]
    return words


def shell_command(*words):
    """`deepapps` with further words, begun as this process was."""
    return shlex.join([*shlex.split(os.environ.get("DEEPAPPS_COMMAND", "deepapps")), *words])


def resuming(command, verb, name, path):
    """The command, or the Python call, that goes on with what another one began in a folder."""
    if command.startswith("deepapps."):
        return command[:-1] + ", resume=True)"
    return shell_command(verb, name, "--output", str(path), "--resume")
