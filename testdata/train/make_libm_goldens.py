"""Writes what glibc's logf, expf and exp say, for engine/forest: XGBoost and LightGBM call them; none is correctly rounded.

    python testdata/train/make_libm_goldens.py

testdata/forest/libm/margins.tsv has, for every base score 0.0100 to 0.9900 in steps of 0.0001, the margin that XGBoost
makes of it: -logf(1/p - 1) in float32. testdata/forest/libm/{logf,expf}.tsv have arguments and results of the functions,
half of them where the correctly rounded result differs, exp.tsv those of exp in float64, on a processor with FMA. All
numbers are the bits in hexadecimal.
"""

import ctypes
import math
import pathlib
import random
import struct

import numpy as np

LIBM = ctypes.CDLL("libm.so.6")


def libm(name):
    function = getattr(LIBM, name)
    function.restype, function.argtypes = ctypes.c_float, [ctypes.c_float]
    return function


def bits(x):
    return struct.pack(">f", x).hex()


def from_bits(b):
    return struct.unpack(">f", struct.pack(">I", b))[0]


def margins():
    log = libm("logf")
    for n in range(100, 9901):
        p = np.float32(f"0.{n:04d}")
        odds = np.float32(1) / p - np.float32(1)
        yield f"0.{n:04d}", bits(-log(float(odds)))


def samples(name, exact, arguments):
    """Half of the pairs are those that the correctly rounded function gets differently."""
    function, plain, differing = libm(name), [], []
    for x in arguments:
        y = function(x)
        (plain if bits(y) == bits(np.float32(exact(x))) else differing).append((bits(x), bits(y)))
    few = min(len(differing), 1000)
    return plain[: 2000 - few] + differing[:few]


def wide_samples():
    """Arguments and results of exp, bits in hexadecimal: over the whole range, close to its ends, and of odds."""
    function = LIBM.exp
    function.restype, function.argtypes = ctypes.c_double, [ctypes.c_double]
    arguments = [0.0, -0.0, 1e-17, -1e-17, 709.7827128933841, 709.782712893384, 1023.9, 1024.0, -745.1332191019412, -745.2, -1024.0]
    arguments += [random.uniform(-745.3, 709.9) for _ in range(1000)]
    arguments += [random.uniform(-745.3, -705) for _ in range(500)]
    arguments += [random.uniform(-12, 12) for _ in range(1500)]
    for x in arguments:
        yield struct.pack(">d", x).hex(), struct.pack(">d", function(x)).hex()


def write(path, pairs):
    path.write_text("".join(f"{a}\t{b}\n" for a, b in pairs))


def main():
    folder = pathlib.Path(__file__).parent.parent / "forest" / "libm"
    folder.mkdir(exist_ok=True)
    random.seed(18)
    positive = [1.0, from_bits(1), from_bits(0x007FFFFF), from_bits(0x00800000), from_bits(0x7F7FFFFF)]
    positive += [from_bits(random.randrange(1, 0x7F800000)) for _ in range(20_000)]
    positive += [random.uniform(0.4, 2.5) for _ in range(20_000)]
    positive = [from_bits(int(bits(x), 16)) for x in positive]
    powers = [0.0, -0.0, 88.7, -103.9, -87.4, 1e-30]
    powers += [from_bits(int(bits(random.uniform(-103, 88)), 16)) for _ in range(100_000)]
    write(folder / "margins.tsv", margins())
    write(folder / "logf.tsv", samples("logf", math.log, positive))
    write(folder / "expf.tsv", samples("expf", math.exp, powers))
    write(folder / "exp.tsv", wide_samples())


if __name__ == "__main__":
    main()
