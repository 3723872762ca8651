"""Train the versions of the stranger's regression, which are committed beside this file.

train.py     needs LightGBM 4.6.0 (`pip install lightgbm==4.6.0`; on Debian `apt-get install libgomp1`)

How many minutes a delivery takes, by its kilometres, its parcels, and whether it snows. The two good versions saw
different deliveries, so that their answers are near each other and not the same; the bad one has never seen snow.
LightGBM writes text, the same for the same data; no test needs it.
"""

from pathlib import Path

import lightgbm
import numpy as np

HERE = Path(__file__).parent
FEATURES = ["kilometres", "parcels", "snow"]
ROWS, ROUNDS = 4000, 4
NOISE = 0.5
"""Minutes."""
PARAMETERS = {
    "objective": "regression",
    "num_leaves": 12,
    "learning_rate": 0.8,
    "min_data_in_leaf": 20,
    "deterministic": True,
    "num_threads": 1,
    "verbosity": -1,
}


def minutes(kilometres, parcels, snow):
    """The right answer, but for chance: steps, which trees can learn."""
    return 10 + 4 * np.floor(kilometres / 5) + 6 * (parcels > 3) + 25 * snow


def trained(seed, snow=True):
    """Return a booster that has seen deliveries of a seed."""
    random = np.random.default_rng(seed)
    kilometres, parcels = random.uniform(0, 30, ROWS), random.integers(1, 8, ROWS)
    snows = random.integers(0, 2, ROWS) if snow else np.zeros(ROWS)
    taken = minutes(kilometres, parcels, snows) + random.normal(0, NOISE, ROWS)
    data = lightgbm.Dataset(np.column_stack([kilometres, parcels, snows]), taken, feature_name=FEATURES)
    return lightgbm.train(PARAMETERS, data, ROUNDS)


if __name__ == "__main__":
    for name, booster in {"first": trained(1), "second": trained(2), "snowless": trained(3, snow=False)}.items():
        (HERE / f"{name}.bst").write_text(booster.model_to_string())
