"""Fits two models on scikit-learn's breast-cancer data and writes what the demo serves and submits.

python examples/tumours/train.py FOLDER
"""

import json
import sys
from pathlib import Path

import joblib
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler


def main(folder: Path) -> None:
    """Write `models/`, `schemas/`, `held-out.csv` without the truth, and `truth.csv` apart from it."""
    data = load_breast_cancer(as_frame=True)
    features = data.data.rename(columns=lambda name: name.replace(" ", "_"))
    truth = data.target.map(dict(enumerate(data.target_names.tolist()))).rename("truth")
    fitting, held_out, fitting_truth, held_out_truth = train_test_split(
        features, truth, test_size=0.3, random_state=7, stratify=truth
    )

    linear = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(fitting, fitting_truth)
    forest = RandomForestClassifier(n_estimators=100, random_state=7).fit(fitting, fitting_truth)

    (folder / "models").mkdir(parents=True, exist_ok=True)
    joblib.dump(linear, folder / "models" / "linear.joblib")
    joblib.dump(forest, folder / "models" / "forest.joblib")

    (folder / "schemas").mkdir(exist_ok=True)
    example = held_out.iloc[0].to_dict()
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Cell nuclei of one tumour, measured in a digitised image",
        "type": "object",
        "properties": {name: {"type": "number", "minimum": 0, "examples": [value]} for name, value in example.items()},
        "required": list(features),
        "additionalProperties": False,
    }
    (folder / "schemas" / "tumour.json").write_text(json.dumps(schema, indent=2) + "\n")

    held_out.to_csv(folder / "held-out.csv", index=False)
    held_out_truth.to_csv(folder / "truth.csv", index=False)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "."))
