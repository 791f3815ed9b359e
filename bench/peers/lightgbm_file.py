"""LightGBM's own way from file to file: LGBM_BoosterPredictForFile, which is what `lightgbm task=predict` calls.

    python lightgbm_file.py model.txt matrix.csv probabilities.txt

The matrix holds numbers only, in the order of the model's features: LightGBM reads no texts. One probability a line.
Prints how long this took as JSON, without starting Python, which the command does not do.
"""

import ctypes
import json
import sys
from time import perf_counter, process_time

import lightgbm
from lightgbm.basic import _LIB, _safe_call

NORMAL = 0  # C_API_PREDICT_NORMAL
ALL_TREES = -1


def main() -> None:
    model, matrix, out = sys.argv[1:]
    begin, cpu = perf_counter(), process_time()
    booster = lightgbm.Booster(model_file=model)
    _safe_call(_LIB.LGBM_BoosterPredictForFile(
        booster._handle, matrix.encode(), ctypes.c_int(1), ctypes.c_int(NORMAL), ctypes.c_int(0), ctypes.c_int(ALL_TREES),
        b"", out.encode()))
    print(json.dumps({"seconds": perf_counter() - begin, "cpu_seconds": process_time() - cpu}))


if __name__ == "__main__":
    main()
