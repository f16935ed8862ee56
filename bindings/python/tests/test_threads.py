"""Many threads at once (PA-3). TENURE_SOAK_SECONDS makes it longer."""

import os
import random
import threading
import time

import numpy as np

import tenure

SECONDS = float(os.environ.get("TENURE_SOAK_SECONDS", "1"))


# PA-3: no crash, and byte counts return to their start
def test_threads_create_slice_fill_and_release():
    pool = tenure.Pool(name="threads")
    shared = tenure.zeros(64, pool=pool)
    before = pool.stats().requested_bytes
    errors, stop = [], time.monotonic() + SECONDS

    def work(seed):
        rng = random.Random(seed)
        try:
            with pool:
                while time.monotonic() < stop:
                    x = tenure.zeros((rng.randrange(1, 50), rng.randrange(1, 50)))
                    view = x[:: rng.choice([1, 2, -1]), rng.randrange(x.shape[1])]
                    view.fill(3)
                    assert np.asarray(view).sum() == 3 * len(view)
                    clone = shared.clone()
                    try:
                        with clone[rng.randrange(32) :].write() as part:
                            part += 1
                    except tenure.OwnershipError as error:
                        assert error.status in (tenure.Status.BORROWED, tenure.Status.BORROWED_WRITE)
                        del error
                    if rng.random() < 0.3:
                        x = tenure.take(tenure.give(x))
                    if rng.random() < 0.5:
                        x.release()
        except BaseException as error:
            errors.append((seed, error))

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors, errors
    assert shared.why_not() == 0
    assert pool.stats().requested_bytes == before
