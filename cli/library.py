"""Scores rows of numbers with the library that trained a model: JSON in, JSON out."""

import json
import sys

import numpy as np

request = json.load(sys.stdin)
rows = np.array([[np.nan if cell is None else cell for cell in row] for row in request["rows"]], dtype=np.float64)
if request["library"] == "lightgbm":
    import lightgbm as library

    booster = library.Booster(model_file=request["model"])
    booster.pandas_categorical = None  # the rows hold codes, not texts
    raw = booster.predict(rows, raw_score=True)
    probability = booster.predict(rows)
else:
    import xgboost as library

    booster = library.Booster(model_file=request["model"])
    kinds = ["c" if category else "q" for category in request["categories"]]
    matrix = library.DMatrix(
        rows, feature_names=request["names"], feature_types=kinds, enable_categorical=any(request["categories"])
    )
    iterations = (0, request["iterations"])
    raw = booster.predict(matrix, output_margin=True, iteration_range=iterations)
    probability = booster.predict(matrix, iteration_range=iterations)
json.dump(
    {
        "library": f"{library.__name__} {library.__version__}",
        "raw": [float(x) for x in raw],
        "probability": [float(x) for x in probability],
    },
    sys.stdout,
)
