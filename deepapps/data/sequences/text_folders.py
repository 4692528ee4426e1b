"""Folders of texts: one sub-folder of text files for each class, as aclImdb and 20 Newsgroups."""

import functools
import logging
import os

from deepapps.data.examples import Examples
from deepapps.data.folders import few, files_below, files_in, labelled_folders, part_folders
from deepapps.data.lines import BadLines, encoding_of
from deepapps.files import read_text

TEXT_ENDINGS = ("", ".txt")

_logger = logging.getLogger(__name__)


def text_folder_parts(folder, settings):
    """Finds the classes of a folder.

    Args:
        folder: A folder with one sub-folder for each class, which holds files of one text each,
            directly or further down, `.txt` or without ending; or one with such folders for the
            parts, as of `part_folders`.
        settings: `TableSettings`, of which `encoding` and `skip_bad_lines` count.
    Returns: `{"train": read, ...}`; `read()` returns `Examples`.
    """
    return {
        part: functools.partial(_read, path, settings)
        for part, path in part_folders(folder).items()
    }


def _read(folder, settings):
    bad, examples = BadLines(folder, settings.skip_bad_lines, "file"), []
    names = labelled_folders(folder)
    if not names:
        raise ValueError(
            f"{folder}: has no sub-folders. A folder of texts holds one sub-folder for each class; "
            "or name a table of texts and labels."
        )
    others = files_in(folder)
    for name in names:
        paths = list(files_below(os.path.join(folder, name)))
        texts = [path for path in paths if os.path.splitext(path)[1].lower() in TEXT_ENDINGS]
        others += [path for path in paths if path not in {*texts}]
        if not texts:
            raise ValueError(
                f"{os.path.join(folder, name)}: holds no texts (.txt). Each sub-folder of {folder} "
                "is a class: add texts, or take the sub-folder away."
            )
        for path in texts:
            place = os.path.relpath(path, folder)
            text = _text(path, settings.encoding, functools.partial(bad.add, place))
            if text is not None:
                examples.append((place, text, name))
    if others:
        _logger.warning("%s: not used: %d other files: %s", folder, len(others), few(others))
    bad.report()
    if not examples:
        raise ValueError(f"{folder}: holds no text.")
    paths, texts, labels = zip(*examples, strict=True)
    return Examples(folder, list(texts), list(labels), list(paths), "a file each")


def _text(path, encoding, refuse):
    """The text of a file; None, after a call of `refuse(fault)`, where it cannot be used."""
    try:
        text = read_text(path, lambda content: encoding or encoding_of(content)).strip()
    except LookupError:
        raise ValueError(f"Unknown encoding {encoding!r}, such as utf-8, utf-16, cp1252.") from None
    except ValueError as error:
        refuse(str(error).removeprefix(f"{path}: "))
        return None
    if text and "\0" not in text:
        return text
    refuse("holds a NUL byte." if text else "is empty.")
    return None
