"""Rewrites a model text of LightGBM 4 as older versions wrote it."""

import re

NOT_IN_V2 = ("is_linear=", "leaf_weight=", "internal_weight=")


def version_3(text: str) -> str:
    return text.replace("version=v4", "version=v3", 1)


def version_2(text: str) -> str:
    """Trees without the later keys, and tree_sizes to match."""
    start, end = text.index("Tree=0"), text.index("end of trees")
    trees = ["Tree=" + t for t in text[start:end].split("Tree=")[1:]]
    trees = ["".join(line for line in t.splitlines(True) if not line.startswith(NOT_IN_V2)) for t in trees]
    header = text[:start].replace("version=v4", "version=v2", 1)
    header = re.sub(r"tree_sizes=.*", "tree_sizes=" + " ".join(str(len(t)) for t in trees), header)
    return header + "".join(trees) + text[end:]


def crlf(text: str) -> str:
    """What an editor on Windows makes of it; tree_sizes still count line ends as one byte."""
    return text.replace("\n", "\r\n").rstrip("\r\n")
