"""What the last cell of a notebook does: fit a model on a DataFrame, save it."""

import joblib
from sklearn.datasets import load_iris
from sklearn.tree import DecisionTreeClassifier

iris = load_iris(as_frame=True)
features = iris.data.rename(columns=lambda name: name.replace(" (cm)", "_cm").replace(" ", "_"))
kinds = iris.target.map(dict(enumerate(iris.target_names)))

tree = DecisionTreeClassifier(max_depth=3, random_state=7).fit(features, kinds)
joblib.dump(tree, "tree.joblib")
