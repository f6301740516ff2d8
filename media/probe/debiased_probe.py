"""Applies a debiased probe to pooled activations. Needs numpy and nothing else.

logit = (x - f @ directions) @ w + b, where x is a text's mean activation and f the mean codes of the probe's features in
that text: what taking the features out at every token gives. The label is the positive one where the logit is above 0.

    python debiased_probe.py probe.safetensors pooled.safetensors

prints what probe.json says, computed anew from the pooled texts that it names.
"""
import json
import sys

import numpy as np

DTYPES = {"F64": "<f8", "F32": "<f4", "U32": "<u4", "U8": "u1"}


def read(path):
    """The tensors of a safetensors file by name."""
    with open(path, "rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        data = file.read()
    header.pop("__metadata__", None)
    return {
        name: np.frombuffer(data[slice(*entry["data_offsets"])], DTYPES[entry["dtype"]]).reshape(entry["shape"])
        for name, entry in header.items()
    }


def logits(probe, activations, codes):
    """activations [texts, d]; codes [texts, n] of probe["features"], in their order. Returns [texts]."""
    return (activations - codes.astype(float) @ probe["directions"].astype(float)) @ probe["w"] + probe["b"]


def codes_of(pooled, features):
    """Mean codes [texts, n] of some features from a file of pooled texts, where they are sparse."""
    offsets = pooled["codes.offsets"]
    codes = np.zeros((len(offsets) - 1, len(features)))
    text = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets.astype(int)))
    for column, feature in enumerate(features):
        at = pooled["codes.indices"] == feature
        codes[text[at], column] = pooled["codes.values"][at]
    return codes


if __name__ == "__main__":
    probe, pooled = read(sys.argv[1]), read(sys.argv[2])
    rows, labels, attributes = probe["test.rows"], probe["test.labels"], probe["test.attributes"]
    found = logits(probe, pooled["pooled.activations"][rows], codes_of(pooled, probe["features"])[rows])
    right = (found > 0) == (labels == 1)
    cells = [right[(labels == y) & (attributes == a)].mean() for y in (1, 0) for a in (1, 0)]
    print(json.dumps({"accuracy": right.mean(), "cells": cells, "worst_group": min(cells)}))
