"""Random programs against NumPy (walk.py), for some seeds; TENURE_RANDOM_SEEDS sets their number."""

import os

import pytest
from walk import Walk

SEEDS = int(os.environ.get("TENURE_RANDOM_SEEDS", "12"))


# PA-5, BR-25 and all other differences between an array and NumPy's.
@pytest.mark.parametrize("seed", range(SEEDS))
def test_a_program_does_as_numpy(seed):
    Walk(seed).run(250)
