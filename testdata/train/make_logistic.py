"""Makes testdata/bundles/logistic: a logistic regression behind an imputer, a scaler and an encoder, saved by python/.

    MILLRACE_PROGRAM=bin/millrace PYTHONPATH=python/src python testdata/train/make_logistic.py
"""

import shutil

import millrace
import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

TO = "testdata/bundles/logistic"

random = np.random.default_rng(11)
table = pd.DataFrame({
    "tenure": random.integers(0, 72, 200).astype(float),
    "charges": np.round(random.gamma(3, 25, 200), 2),
    "plan": random.choice(["basic", "pro", "team"], 200),
})
table.loc[random.random(200) < 0.1, "charges"] = np.nan
left = (1 - table["tenure"] / 30 + (table["plan"] == "basic") + random.logistic(size=200) > 0).astype(int)
before = ColumnTransformer([
    ("filled", make_pipeline(SimpleImputer(), StandardScaler()), ["charges"]),
    ("scaled", StandardScaler(), ["tenure"]),
    ("plan", OneHotEncoder(handle_unknown="ignore"), ["plan"]),
])
shutil.rmtree(TO, ignore_errors=True)
millrace.save(make_pipeline(before, LogisticRegression()).fit(table, left), table, left, path=TO)
