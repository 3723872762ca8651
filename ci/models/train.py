"""Train the iris models. Runs with the model server's own scikit-learn, so that it can load what is written here.

train.py FOLDER      writes FOLDER/sklearn-iris/v1/model.joblib and .../v2/model.joblib

Both versions are good, and told apart by their kind: v1 is a logistic regression, v2 a random forest. Beside them
FOLDER/sklearn-iris/mislabelled is a bad one, for the tests that stop it.
"""

import sys
from pathlib import Path

import joblib
from sklearn.base import ClassifierMixin
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split

NAME = "sklearn-iris"
SEED = 20260401
MISLABELLED = "mislabelled"
"""A version that loads, answers fast, and names every flower wrong: only a look at its answers can tell."""
VERSIONS: dict[str, ClassifierMixin] = {
    "v1": LogisticRegression(max_iter=1000, random_state=SEED),
    "v2": RandomForestClassifier(n_estimators=20, max_depth=4, random_state=SEED, n_jobs=1),
}
GOOD = 0.9
"""Share of the flowers held back that a version must name right to be worth serving."""
GUIDE = ([[5.1, 3.5, 1.4, 0.2]], [0])
"""The request of the deployment guide and its answer."""


def train(folder: Path) -> None:
    """Train every version and write it, unless it is no good."""
    data, species = load_iris(return_X_y=True)
    seen, held_back, named, truth = train_test_split(data, species, test_size=0.3, stratify=species, random_state=SEED)
    for version, model in VERSIONS.items():
        model.fit(seen, named)
        score = model.score(held_back, truth)
        if score < GOOD or model.predict(GUIDE[0]).tolist() != GUIDE[1]:
            sys.exit(f"{NAME} {version}: only {score:.0%} of the flowers held back are named right")
        write(folder, version, model)
        print(f"{NAME} {version}: {type(model).__name__}, {score:.0%} of the flowers held back named right")
    write(folder, MISLABELLED, LogisticRegression(max_iter=1000, random_state=SEED).fit(seen, (named + 1) % 3))


def write(folder: Path, version: str, model: ClassifierMixin) -> None:
    """Write one version."""
    file = folder / NAME / version / "model.joblib"
    file.parent.mkdir(parents=True, exist_ok=True)
    joblib.dump(model, file, compress=3)


if __name__ == "__main__":
    train(Path(sys.argv[1]))
