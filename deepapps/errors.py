"""An error in one line: its innermost cause and, where a program is at fault, the line of it."""

import pathlib
import re
import sysconfig
import traceback

import click

# what Python raises for a fault in a program; deepapps raises none of them for a user's mistake
_FAULTS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    NameError,
    NotImplementedError,
    RecursionError,
    TypeError,
)
_DEEPAPPS = str(pathlib.Path(__file__).parent)
_STANDARD = sysconfig.get_paths()["stdlib"]
_OF_KERAS = re.compile(
    r"Exception encountered when calling (.+?)\.\n\n\x1b\[1m(.*)\x1b\[0m", re.DOTALL
)


def one_line(error: BaseException) -> str:
    """What went wrong, in one line that names the innermost cause.

    Keras's and TensorFlow's frames around a message are taken off. A fault in a program comes with
    its type and its line, as "KeyError: 3 (train.py, line 12: `weights[label]`)".
    """
    if isinstance(error, click.ClickException):
        return " ".join(error.format_message().split())
    text = _message(error)
    cause = None if _is_for_users(error) else _cause(error)
    inner = one_line(cause) if cause else ""
    return f"{text} ({inner})" if inner and inner not in text else text


def _is_for_users(error):
    """Whether deepapps itself raised the error, whose message then says all."""
    frames = traceback.extract_tb(error.__traceback__)
    raised_here = bool(frames) and frames[-1].filename.startswith(_DEEPAPPS)
    return raised_here and not isinstance(error, _FAULTS)


def _cause(error):
    """The error that an error was raised for, or while it was handled; None where there is none."""
    if error.__cause__ or error.__suppress_context__:
        return error.__cause__
    return error.__context__


def _message(error):
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    # the text of a KeyError is the `repr` of what it holds
    first = error.args[0] if isinstance(error, KeyError) and error.args else error
    framed = _OF_KERAS.search(str(first))
    text = _unframed(framed[2] if framed else str(error))
    where = f"in {framed[1]}" if framed else ""
    if not text or isinstance(error, _FAULTS):
        text = f"{type(error).__name__}: {text}".removesuffix(": ")
        where = _place(error) or where
    return f"{text} ({where})" if where else text


def _unframed(text):
    """The message itself: the last line of TensorFlow's report, else the first line, and the next
    where that one ends with a colon.
    """
    text = text.rpartition("Error encountered:")[2]  # by Keras, while a layer was tried on shapes
    lines = [line.strip() for line in text.split("[[{{node")[0].splitlines() if line.strip()]
    if lines and lines[0].startswith(("Graph execution error", "in user code", "2 root error")):
        return lines[-1]
    return " ".join(lines[: 2 if lines and lines[0].endswith(":") else 1])


def _place(error):
    """The last line of a user's program that led to an error, or of any; empty where none is
    known.
    """
    frames = traceback.extract_tb(error.__traceback__)
    of_user = [
        frame
        for frame in frames
        if not frame.filename.startswith((_DEEPAPPS, _STANDARD, "<"))
        and "site-packages" not in frame.filename
    ]
    if not frames:
        return ""
    frame = (of_user or frames)[-1]
    return f"{pathlib.Path(frame.filename).name}, line {frame.lineno}: `{frame.line}`"
