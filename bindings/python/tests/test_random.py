"""Random programs against NumPy (walk.py), some seeds of them; TENURE_RANDOM_SEEDS says how many."""

import os

import pytest
from walk import Walk

SEEDS = int(os.environ.get("TENURE_RANDOM_SEEDS", "12"))


# PA-5, BR-25 and whatever else stands between an array and NumPy's.
@pytest.mark.parametrize("seed", range(SEEDS))
def test_a_program_does_as_numpy(seed):
    Walk(seed).run(250)
