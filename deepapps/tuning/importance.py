"""How much each hyperparameter mattered, by what the trials show, with its uncertainty."""

import dataclasses

import numpy as np
from sklearn.ensemble import RandomForestRegressor
from sklearn.inspection import permutation_importance

FEWEST = 8  # trials
SAMPLES, TREES = 20, 30


@dataclasses.dataclass(frozen=True)
class Column:
    """A hyperparameter of some trials, as numbers.

    Attributes:
        name: Its name.
        numbers: `(N,)`; NaN where a trial has it not. Choices count from 0, a logarithmic range is
            taken by its power of ten.
        choices: The choices, or empty.
        is_logarithmic: Whether the range is.
    """

    name: str
    numbers: np.ndarray
    choices: tuple = ()
    is_logarithmic: bool = False

    def text(self, number):
        """A number as the value it stands for."""
        if self.choices:
            return str(self.choices[int(number)])
        return f"{10**number if self.is_logarithmic else number:.3g}"


def columns_of(rows, space):
    """The `Column`s of the hyperparameters that change.

    Args:
        rows: The `Row`s.
        space: The descriptions of the hyperparameters, as in search.json.
    """
    columns = [
        _column(rows, one["class_name"], one["config"])
        for one in space
        if one["class_name"] != "Fixed"
    ]
    return [
        column for column in columns if len(set(column.numbers[np.isfinite(column.numbers)])) > 1
    ]


def _column(rows, kind, config):
    values = [row.values.get(config["name"]) for row in rows]
    choices = (False, True) if kind == "Boolean" else tuple(config.get("values") or ())
    if choices and not config.get("ordered"):
        numbers = [np.nan if value is None else choices.index(value) for value in values]
        return Column(config["name"], np.array(numbers, float), choices)
    is_logarithmic = config.get("sampling") in ("log", "reverse_log")
    numbers = np.array([np.nan if value is None else value for value in values], float)
    return Column(
        config["name"], np.log10(numbers) if is_logarithmic else numbers, (), is_logarithmic
    )


def importances(columns, scores, seed=0):
    """How much worse a random forest predicts the score when one hyperparameter is shuffled
    (Breiman 2001).

    Args:
        columns: What `columns_of` returned.
        scores: `(N,)`.
        seed: Seed of the forests. Defaults to 0.
    Returns: `{name: (mean, standard deviation)}`, shares of the variance of the scores, over
        forests that are each grown on another draw of the trials and asked about those left out;
        the largest first. Empty for fewer than `FEWEST` trials or scores that are all alike.
    """
    scores = np.asarray(scores, float)
    if len(scores) < FEWEST or not columns or np.ptp(scores) == 0:
        return {}
    inputs = np.nan_to_num(np.stack([column.numbers for column in columns], axis=1), nan=-10.0)
    random = np.random.default_rng(seed)
    found = []
    for sample in range(SAMPLES):
        chosen = random.integers(len(scores), size=len(scores))
        left = np.setdiff1d(np.arange(len(scores)), chosen)
        if len(left) < 2:
            continue
        forest = RandomForestRegressor(TREES, random_state=sample).fit(
            inputs[chosen], scores[chosen]
        )
        worse = permutation_importance(
            forest,
            inputs[left],
            scores[left],
            scoring="neg_mean_squared_error",
            n_repeats=1,
            random_state=sample,
        )
        found.append(worse.importances_mean / scores.var())
    means, deviations = np.mean(found, axis=0), np.std(found, axis=0)
    pairs = zip(
        (column.name for column in columns),
        zip(means.tolist(), deviations.tolist(), strict=True),
        strict=True,
    )
    return dict(sorted(pairs, key=lambda pair: -pair[1][0]))
