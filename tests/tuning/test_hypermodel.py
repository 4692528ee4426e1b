"""A task inside plain Keras Tuner."""

import keras_tuner
import numpy as np
from tuning_task import Points

from deepapps.tuning import TaskHyperModel


def test_hyperband_trains_our_loop_and_gives_the_best_model(tmp_path):
    options = {"directory": str(tmp_path), "project_name": "points", "seed": 1}
    model = TaskHyperModel(Points(), units=4, jit_compile=False)
    tuner = keras_tuner.Hyperband(model, objective="val_accuracy", max_epochs=3, **options)
    tuner.search(verbose=0)
    trials = list(tuner.oracle.trials.values())
    assert [trial.status for trial in trials] == ["COMPLETED"] * len(trials) and len(trials) == 6
    assert all(trial.metrics.get_best_value("parameters") == 26 for trial in trials)
    best = tuner.oracle.get_best_trials()[0]
    source = Points().data().validation
    points, labels = source[np.arange(len(source))][:2]
    answers = tuner.get_best_models()[0].predict(points, verbose=0).argmax(axis=-1)
    assert np.isclose((answers == labels).mean(), best.score)
