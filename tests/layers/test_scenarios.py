"""Every layer gives the outputs and the gradients of its formula, however it is called."""

import pytest
import tensorflow as tf
from layers.calls import check
from layers.cases import CASES
from layers.scenarios import all_of, covering, quick

every_case = pytest.mark.parametrize("case", CASES, ids=str)


@pytest.fixture(scope="module", autouse=True)
def graphs_as_they_are():
    """TensorFlow takes longer to optimize these small graphs than to run them."""
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
    yield
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": False})


@pytest.mark.parametrize(
    "scenario", [scenario for case in CASES for scenario in quick(case)], ids=str
)
def test_outputs_and_gradients_are_those_of_the_formula(scenario):
    check(scenario)


@pytest.mark.slow
@every_case
def test_every_two_ways_together(case):
    for scenario in covering(case):
        check(scenario)


@pytest.mark.slow
@every_case
def test_all_ways_together(case):
    for scenario in all_of(case):
        check(scenario)
