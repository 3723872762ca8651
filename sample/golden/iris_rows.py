"""Prints the rows of sklearn-iris.yaml: scikit-learn's own iris data, each flower with the slices it is in.

With the model server's scikit-learn, which splits the flowers as sample/train.py did:

    pip install scikit-learn==1.5.2 joblib==1.5.3 pyyaml
    python sample/golden/iris_rows.py
"""

import sys
from pathlib import Path

import numpy as np
import yaml
from sklearn.datasets import load_iris

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import train


def main() -> None:
    """Print them, a line each."""
    data = load_iris()
    _, held_back, _, _ = train.split(np.arange(len(data.data)), data.target)
    for number, (flower, species) in enumerate(zip(data.data.tolist(), data.target.tolist(), strict=True)):
        name = str(data.target_names[species])
        slices = [name]
        if 4.5 <= flower[2] <= 5.1 and 1.4 <= flower[3] <= 1.8:
            slices.append("boundary")
        if number in held_back:
            slices.append("held-back")
        row = {"id": f"{name}-{number % 50 + 1}", "instance": flower, "expected": species, "slices": slices}
        print(f"  - {yaml.safe_dump(row, default_flow_style=True, sort_keys=False, width=200).strip()}")


if __name__ == "__main__":
    main()
