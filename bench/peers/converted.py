"""Peers that do not train these models: they convert them (ONNX Runtime, oneDAL) or grow trees of their own (YDF)."""

from collections.abc import Callable
from typing import Any

import lightgbm
import numpy as np
import xgboost

import workload


class Prepared:
    """Scores rows in the form that an engine takes. The form is made once for each array, by the call that warms up."""

    def __init__(self, form: Callable[[np.ndarray], Any], score: Callable[[Any], np.ndarray]) -> None:
        self.form, self.score = form, score
        self.rows = self.formed = None

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        if rows is not self.rows:
            self.rows, self.formed = rows, self.form(rows)
        return self.score(self.formed)


def onnx_runtime(booster: lightgbm.Booster | xgboost.Booster) -> Prepared:
    """The converted trees on float32: ONNX knows no trees on float64 inputs that these converters could write."""
    import onnxmltools
    import onnxruntime
    from onnxmltools.convert.common.data_types import FloatTensorType

    inputs = [("rows", FloatTensorType([None, workload.FEATURES]))]
    if isinstance(booster, lightgbm.Booster):
        model = onnxmltools.convert_lightgbm(booster, initial_types=inputs, zipmap=False, target_opset=15)
    else:
        model = onnxmltools.convert_xgboost(booster, initial_types=inputs, target_opset=15)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3  # the converters declare one label for any number of rows, which is warned about
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    output = session.get_outputs()[1].name
    return Prepared(lambda rows: rows.astype(np.float32), lambda rows: session.run([output], {"rows": rows})[0])


def onedal(booster: lightgbm.Booster | xgboost.Booster) -> tuple[Callable[[np.ndarray], np.ndarray], ...]:
    """Scores and contributions of the converted trees."""
    import daal4py
    from daal4py.mb import convert_model

    daal4py.daalinit(1)
    model = convert_model(booster)
    return model.predict_proba, lambda rows: model.predict(rows, pred_contribs=True)


def ydf(trees: int, leaves: int) -> Prepared:
    """A model of YDF's own, as large and of the same customers, because YDF reads no other library's models. Its
    scores are its own; its time per row is what is compared."""
    import ydf as yggdrasil

    yggdrasil.verbose(0)
    customers, label = workload.training_rows()
    learner = yggdrasil.GradientBoostedTreesLearner(
        label="label", num_trees=trees, growing_strategy="BEST_FIRST_GLOBAL", max_num_nodes=2 * leaves - 1, max_depth=-1,
        min_examples=20, shrinkage=0.03, validation_ratio=0.0, early_stopping="NONE")
    model = learner.train(named(customers) | {"label": label.astype(bool)})
    return Prepared(
        lambda rows: yggdrasil.create_vertical_dataset(
            named(rows), data_spec=model.data_spec(), required_columns=model.input_feature_names()),
        lambda rows: model.predict(rows, num_threads=1))


def named(rows: np.ndarray) -> dict[str, np.ndarray]:
    return {f"x{i}": np.ascontiguousarray(column, dtype=np.float32) for i, column in enumerate(rows.T)}


def log_odds(probabilities: np.ndarray) -> np.ndarray:
    """Raw scores of probabilities, for the engines that give nothing else: one of two classes or the second of both."""
    churns = np.asarray(probabilities, dtype=np.float64).reshape(len(probabilities), -1)[:, -1]
    return np.log(churns / (1 - churns))
