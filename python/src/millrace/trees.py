"""Trees over features, made into trees over columns, and written as a LightGBM model file."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from .errors import NotSupported
from .features import Code, Column, Inputs


@dataclass
class Leaf:
    value: float
    count: float = 1.0


@dataclass
class Slope(Leaf):
    """A linear leaf: shift + slope * the column. Its value stands for it until the column is known."""

    column: int = 0
    slope: float = 0.0
    shift: float = 0.0


@dataclass
class Split:
    """A comparison of a feature, as the model makes it."""

    feature: int
    goes_left: Callable[[float], bool]  # by the value of the feature, NaN if it is missing; falls once as the value rises
    left: Node
    right: Node
    count: float = 1.0
    members: bool = False  # goes_left is about equal values, not about larger ones: the feature must be a Code


Node: TypeAlias = Leaf | Split


@dataclass
class Compare:
    """column <= threshold goes left; a missing value as missing_left says."""

    column: int
    threshold: float
    missing_left: bool
    left: Made
    right: Made
    count: float


@dataclass
class Among:
    """A category of the set goes left, everything else right."""

    column: int
    members: list[int]
    left: Made
    right: Made
    count: float


Made: TypeAlias = Leaf | Compare | Among


def over_columns(node: Node, inputs: Inputs) -> Made:
    """Rewrites a tree over features as one over columns that sends every cell of a table the same way."""
    if isinstance(node, Leaf):
        return node
    feature = inputs.features[node.feature]
    left, right = over_columns(node.left, inputs), over_columns(node.right, inputs)
    if isinstance(feature, Code):
        return _among(node, feature, inputs.columns[feature.column], left, right)
    if node.members:
        raise NotSupported(f"column {inputs.columns[feature.column].name!r}: the model compares categories, and no list of them is known")
    threshold = feature.last(node.goes_left)
    missing_left = node.goes_left(feature.value(math.nan))
    if inputs.columns[feature.column].not_empty and math.isinf(threshold):
        return left if threshold > 0 else right
    return Compare(feature.column, threshold, missing_left, left, right, node.count)


def _among(node: Split, feature: Code, column: Column, left: Made, right: Made) -> Made:
    members = [i for i, code in enumerate(feature.codes) if node.goes_left(code)]
    others = [i for i in range(len(feature.codes)) if i not in members]
    rest_left = others_go_left(feature, column, node.goes_left)
    if rest_left and not others or not rest_left and not members:  # everything goes one way
        return left if rest_left else right
    if rest_left:
        return Among(feature.column, others, right, left, node.count)
    return Among(feature.column, members, left, right, node.count)


def others_go_left(feature: Code, column: Column, goes_left: Callable[[float], bool]) -> bool:
    """Says where what is none of the column's categories goes: a missing value, and a category that is not known.

    A model file cannot send them separate ways. Where the model does, the bundle refuses categories that are not known.
    """
    missing = None if column.not_empty else goes_left(feature.missing)
    unknown = None if feature.unknown is None or column.reject_unknown else goes_left(feature.unknown)
    if missing is not None and unknown is not None and missing != unknown:
        column.reject_unknown = True
    return bool(unknown if missing is None else missing)


def lightgbm_text(trees: list[Made], columns: list[Column], objective: str, average: bool) -> str:
    """Writes trees as a LightGBM v4 model file."""
    texts = [_tree_text(i, tree) for i, tree in enumerate(trees)]
    names = [_file_name(c.name) for c in columns]
    head = [
        "tree", "version=v4", "num_class=1", "num_tree_per_iteration=1", "label_index=0", f"max_feature_idx={len(columns) - 1}",
        f"objective={objective}", *(["average_output"] if average else []), "feature_names=" + " ".join(names),
        "feature_infos=" + " ".join(_info(c) for c in columns), "tree_sizes=" + " ".join(str(len(t.encode())) for t in texts), "", "",
    ]
    tail = [
        "end of trees", "", "feature_importances:", "", "parameters:", f"[boosting: {'rf' if average else 'gbdt'}]",
        f"[objective: {objective.split()[0]}]", "end of parameters", "", "pandas_categorical:" + _pandas(columns), "",
    ]
    return "\n".join(head) + "".join(texts) + "\n".join(tail)


def _file_name(name: str) -> str:
    """LightGBM's file separates names by blanks; millrace does not distinguish a blank from an underscore in a header."""
    if any(c in name for c in '",:[]{}') or not name.strip():
        raise NotSupported(f"column {name!r}: LightGBM's model file cannot hold this name")
    return name.replace(" ", "_")


def _info(column: Column) -> str:
    if column.categories is None:
        return "[-1e+308:1e+308]"
    return ":".join(str(i) for i in range(len(column.categories))) or "none"


def _pandas(columns: list[Column]) -> str:
    return json.dumps([c.categories for c in columns if c.categories is not None])


@dataclass
class _Arrays:
    leaves: list[Leaf]
    nodes: list[Compare | Among]
    left: list[int]
    right: list[int]


def _flatten(tree: Made) -> _Arrays:
    a = _Arrays([], [], [], [])
    if isinstance(tree, Leaf):
        a.leaves.append(tree)
        return a

    def place(node: Made) -> int:
        if isinstance(node, Leaf):
            a.leaves.append(node)
            return ~(len(a.leaves) - 1)
        at = len(a.nodes)
        a.nodes.append(node)
        a.left.append(0)
        a.right.append(0)
        a.left[at] = place(node.left)
        a.right[at] = place(node.right)
        return at

    place(tree)
    return a


def _tree_text(index: int, tree: Made) -> str:
    a = _flatten(tree)
    thresholds: list[str] = []
    kinds: list[str] = []
    sets: list[list[int]] = []
    for node in a.nodes:
        if isinstance(node, Among):
            thresholds.append(str(len(sets)))
            kinds.append("1")
            sets.append(_bits(node.members))
        else:
            thresholds.append(_number(min(max(node.threshold, -1.7976931348623157e308), 1.7976931348623157e308)))
            kinds.append("10" if node.missing_left else "8")
    lines = [f"Tree={index}", f"num_leaves={len(a.leaves)}", f"num_cat={len(sets)}"]
    if a.nodes:
        counts = " ".join(_count(n.count) for n in a.nodes)
        lines += [
            "split_feature=" + " ".join(str(n.column) for n in a.nodes), "split_gain=" + " ".join("1" for _ in a.nodes),
            "threshold=" + " ".join(thresholds), "decision_type=" + " ".join(kinds),
            "left_child=" + " ".join(map(str, a.left)), "right_child=" + " ".join(map(str, a.right)),
        ]
    lines += ["leaf_value=" + " ".join(_number(leaf.value) for leaf in a.leaves)]
    if a.nodes:
        leaf_counts = " ".join(_count(leaf.count) for leaf in a.leaves)
        lines += [
            "leaf_weight=" + leaf_counts, "leaf_count=" + leaf_counts, "internal_value=" + " ".join("0" for _ in a.nodes),
            "internal_weight=" + counts, "internal_count=" + counts,
        ]
    if sets:
        ends = [0]
        for words in sets:
            ends.append(ends[-1] + len(words))
        lines += ["cat_boundaries=" + " ".join(map(str, ends)), "cat_threshold=" + " ".join(str(w) for words in sets for w in words)]
    return "\n".join([*lines, *_linear(a.leaves), "shrinkage=1", "", "", ""])


def _linear(leaves: list[Leaf]) -> list[str]:
    """Returns the lines of linear leaves. LightGBM writes a blank behind the list of each leaf, also behind an empty one."""
    if not any(isinstance(leaf, Slope) for leaf in leaves):
        return ["is_linear=0"]
    slopes = [leaf if isinstance(leaf, Slope) else None for leaf in leaves]
    return [
        "is_linear=1", "leaf_const=" + " ".join(_number(s.shift if s else leaf.value) for s, leaf in zip(slopes, leaves, strict=True)),
        "num_features=" + " ".join("1" if s else "0" for s in slopes),
        "leaf_features=" + "".join(f"{s.column}  " if s else " " for s in slopes),
        "leaf_coeff=" + "".join(f"{_number(s.slope)}  " if s else " " for s in slopes),
    ]


def _bits(members: list[int]) -> list[int]:
    words = [0] * (max(members) // 32 + 1)
    for m in members:
        words[m // 32] |= 1 << (m % 32)
    return words


def _number(x: float) -> str:
    return repr(float(x))


def _count(x: float) -> str:
    return str(round(x))

