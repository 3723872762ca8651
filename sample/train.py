"""Train the iris models. Runs with the model server's own scikit-learn, so that it can load what is written here.

train.py FOLDER      writes FOLDER/sklearn-iris/v1/model.joblib and .../v2/model.joblib

Both versions are good, and told apart by their kind: v1 is a logistic regression, v2 a random forest. Beside them are
bad ones, for the tests that stop them: mislabelled and failing.
"""

import sys
from pathlib import Path
from typing import Any

import joblib
from joblib.externals import cloudpickle
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split

NAME = "sklearn-iris"
SEED = 20260401
MISLABELLED = "mislabelled"
"""A version that loads, answers fast, and names every flower wrong: only a look at its answers can tell."""
FAILING = "failing"
"""One that answers four requests of five."""
EVERY = 5
VERSIONS: dict[str, ClassifierMixin] = {
    "v1": LogisticRegression(max_iter=1000, random_state=SEED),
    "v2": RandomForestClassifier(n_estimators=20, max_depth=4, random_state=SEED, n_jobs=1),
}
GOOD = 0.9
"""Share of the flowers held back that a version must name right to be worth serving."""
GUIDE = ([[5.1, 3.5, 1.4, 0.2]], [0])
"""The request of the deployment guide and its answer."""


class Failing(ClassifierMixin, BaseEstimator):  # type: ignore[misc] # scikit-learn has no types
    """A good model that fails on every so many requests.

    Args:
        model: The good one, fitted.
        every: On which: 5 is every fifth.
    """

    def __init__(self, model: ClassifierMixin, every: int) -> None:
        self.model = model
        self.every = every
        self.asked = 0
        self.n_features_in_ = model.n_features_in_

    def predict(self, rows: Any) -> Any:
        """Predict, or not where it is time to fail."""
        self.asked += 1
        if self.asked % self.every == 0:
            raise RuntimeError("it is one of those requests")
        return self.model.predict(rows)


def train(folder: Path) -> None:
    """Train every version and write it, unless it is no good."""
    data, species = load_iris(return_X_y=True)
    seen, held_back, named, truth = split(data, species)
    for version, model in VERSIONS.items():
        model.fit(seen, named)
        score = model.score(held_back, truth)
        if score < GOOD or model.predict(GUIDE[0]).tolist() != GUIDE[1]:
            sys.exit(f"{NAME} {version}: only {score:.0%} of the flowers held back are named right")
        write(folder, version, model)
        print(f"{NAME} {version}: {type(model).__name__}, {score:.0%} of the flowers held back named right")
    write(folder, MISLABELLED, LogisticRegression(max_iter=1000, random_state=SEED).fit(seen, (named + 1) % 3))
    # by value, for the model server has no such class; with the same Python, which this is
    place(folder, FAILING).write_bytes(cloudpickle.dumps(Failing(VERSIONS["v1"], EVERY)))


def split(flowers: Any, species: Any) -> Any:
    """Return the flowers to learn from, those held back, and the species of both."""
    return train_test_split(flowers, species, test_size=0.3, stratify=species, random_state=SEED)


def write(folder: Path, version: str, model: ClassifierMixin) -> None:
    """Write one version."""
    joblib.dump(model, place(folder, version), compress=3)


def place(folder: Path, version: str) -> Path:
    """Return where a version's file goes, its folder made."""
    file = folder / NAME / version / "model.joblib"
    file.parent.mkdir(parents=True, exist_ok=True)
    return file


if __name__ == "__main__":
    train(Path(sys.argv[1]))
