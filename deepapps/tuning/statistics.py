"""What the figures of several trials say together."""

import itertools
import statistics

from deepapps.settings import close_names


def mean_and_error(values):
    """The mean of some values and its standard error, which one value alone has not."""
    error = statistics.stdev(values) / len(values) ** 0.5 if len(values) > 1 else None
    return statistics.mean(values), error


def check_figures(objectives, figures):
    """Raises ValueError for an objective that is not among the figures of a trial."""
    for one in objectives:
        if one.figure not in figures:
            known = [name.removeprefix("val_") for name in figures if name != "pruned"]
            name = one.figure.removeprefix("val_")
            raise ValueError(f"Unknown objective {name!r}.{close_names(name, known)}")


def pareto_front(points, signs):
    """Which points no other one beats.

    Args:
        points: `(N, K)`, K figures each.
        signs: 1 for a figure of which more is better, else -1.
    Returns: the places of those points of which each other point is worse in some figure, or equal
        in all.
    """
    points = [
        tuple(value * sign for value, sign in zip(point, signs, strict=True)) for point in points
    ]

    def beats(one, other):
        return one != other and all(a >= b for a, b in zip(one, other, strict=True))

    beaten = {
        b for a, b in itertools.permutations(range(len(points)), 2) if beats(points[a], points[b])
    }
    return [place for place in range(len(points)) if place not in beaten]
