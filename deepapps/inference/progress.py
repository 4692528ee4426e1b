"""A progress bar on stderr."""

from rich.console import Console
from rich.progress import track


def progress_bar(items, description, shown=True):
    """Passes the items on, with a bar on stderr where that is a terminal."""
    console = Console(stderr=True)
    hidden = not (shown and console.is_terminal)
    yield from track(items, description, console=console, transient=True, disable=hidden)
