"""Tables of names: what a setting or a command picks by name, loaded when it is asked for."""

import importlib
from collections.abc import Iterator, Mapping
from typing import Any

from deepapps.settings import close_names


class Registry(Mapping):
    """Names, and what they stand for.

        NETWORKS = Registry("network", {"cnn": "deepapps.networks.images:cnn"})
        NETWORKS["cnn"](settings, (28, 28, 1), 10)

    Args:
        kind: What to call them in an error line.
        places: `{name: "module:attribute"}`.
    """

    def __init__(self, kind: str, places: dict[str, str]):
        self._kind, self._places = kind, places

    def __getitem__(self, name: str) -> Any:
        """Loads what a name stands for. ValueError for an unknown one, with the close names."""
        if name not in self._places:
            raise ValueError(f"Unknown {self._kind} {name!r}.{close_names(name, self._places)}")
        module, _, attribute = self._places[name].partition(":")
        return getattr(importlib.import_module(module), attribute)

    def __contains__(self, name: object) -> bool:
        return name in self._places

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)
