"""Random layers give the outputs and gradients of their formulas, too."""

import hypothesis
import pytest
from layers.calls import check
from layers.random_scenarios import scenarios

COMMON = {"deadline": None, "database": None, "suppress_health_check": list(hypothesis.HealthCheck)}
OFTEN_EAGER = ["eager"] * 28 + ["function", "jit"]  # as they take time


@hypothesis.settings(max_examples=200, derandomize=True, **COMMON)
@hypothesis.given(scenario=scenarios(OFTEN_EAGER))
def test_two_hundred(scenario):
    check(scenario)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10))
def test_thousands(seed):
    @hypothesis.seed(seed)
    @hypothesis.settings(max_examples=300, **COMMON)
    @hypothesis.given(scenario=scenarios())
    def check_some(scenario):
        check(scenario)

    check_some()
