import keras
import numpy as np
import pytest
import tensorflow as tf

from deepapps.distribution.strategies import make_strategy
from deepapps.settings import TrainingSettings
from deepapps.training.optimizers import make_optimizer

OPTIONS = (
    {},
    {"weight_decay": 0.1},
    {"global_clipnorm": 0.1},
    {"use_ema": True, "ema_momentum": 0.5},
    {"learning_rate": 0.1},
)


@pytest.mark.parametrize("strategy", ["none", "mirrored:2"])
@pytest.mark.parametrize("name", ["adam", "adamw"])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_adam_is_keras_own(options, name, strategy):
    generator = np.random.default_rng(0)
    values, *steps = (
        [generator.normal(size=shape).astype("float32") for shape in ((5, 3), (7,))]
        for _ in range(5)
    )

    def updated(make, strategy):
        with strategy.scope():
            variables = [keras.Variable(value) for value in values]
            optimizer = make()
            optimizer.build(variables)

            update = tf.function(lambda *gradients: optimizer.apply(gradients, variables))
            for gradients in steps:
                strategy.run(update, gradients)
        return [np.asarray(variable) for variable in (*variables, *optimizer.variables)]

    settings = TrainingSettings(optimizer=name, **{"learning_rate": 0.01} | options)
    own = updated(lambda: make_optimizer(settings, updates=4), make_strategy(strategy))
    kind = {"adam": keras.optimizers.Adam, "adamw": keras.optimizers.AdamW}[name]
    keras_own = updated(
        lambda: kind(**{"learning_rate": 0.01} | options), tf.distribute.get_strategy()
    )
    for array, other in zip(own, keras_own, strict=True):
        np.testing.assert_allclose(array, other, rtol=1e-5, atol=1e-6)


def test_amsgrad_keeps_keras_own_update():
    settings = TrainingSettings(
        optimizer=keras.optimizers.serialize(keras.optimizers.Adam(amsgrad=True))
    )
    assert "update_step" not in vars(make_optimizer(settings, updates=1))
