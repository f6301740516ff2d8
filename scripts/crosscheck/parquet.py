# Reads the exported tables with pyarrow and pandas and compares them with what the index itself says. Called by parquet.ts.
import json
import sys
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq

folder = Path(sys.argv[1])
index = json.loads((folder / "index.json").read_text())
details = index["details"]

TYPES = {
    "features": dict(id="int32", member="int32", index="int32", count="double", density="double", mean="double", max="double", found="int32", flagged="bool", label="string", note="string", tokens="json", top_logits="json", bottom_logits="json", nearest="json"),
    "sequences": dict(feature="int32", band="string", quantile_from="double", quantile_to="double", window="int32", peak="int32", max="double", text="string", tokens="json", activations="json"),
}
tables = {}
for name, wanted in TYPES.items():
    file = pq.ParquetFile(folder / f"{name}.parquet")
    found = {field.name: str(field.type) for field in file.schema_arrow}
    # Older pyarrow reads JSON columns as strings or bytes, newer as a type of their own.
    fitting = {key: kind == found[key] or (kind == "json" and any(word in found[key] for word in ("json", "string", "binary"))) for key, kind in wanted.items()}
    assert list(found) == list(wanted) and all(fitting.values()), (name, found)
    about = json.loads(file.schema_arrow.metadata[b"sae_ensembles"])
    assert about["hook"] == index["info"]["hook"] and about["tokens"] == index["info"]["tokens"], about
    tables[name] = pd.read_parquet(folder / f"{name}.parquet")
    print(f"OK      {name}.parquet: {len(tables[name])} rows, {found}")

features, sequences = tables["features"], tables["sequences"]
value = lambda cell: json.loads(cell) if isinstance(cell, (str, bytes)) else cell
assert features.id.tolist() == [one["id"] for one in details]
for row, one in zip(features.itertuples(), details):
    for key in ("member", "count", "density", "mean", "max"):
        assert getattr(row, key) == one[key], (row.id, key)
    assert features["index"][row.Index] == one["index"]
    assert value(row.tokens) == [[token["text"], token["share"], token["count"]] for token in one["tokens"]]
    assert value(row.top_logits) == [[logit["text"], logit["logit"]] for logit in one["logits"]["top"]]
    assert row.found == sum(one["found"])
    assert bool(row.flagged) == one["annotation"].get("flagged", False)
    assert (row.label if isinstance(row.label, str) else None) == one["annotation"].get("label")
    assert (row.note if isinstance(row.note, str) else None) == one["annotation"].get("note")
wanted = [(one["id"], band, sequence) for one in details for band in one["bands"] for sequence in band["sequences"]]
assert len(sequences) == len(wanted) > 0
for row, (feature, band, sequence) in zip(sequences.itertuples(), wanted):
    assert (row.feature, row.band, row.window, row.peak) == (feature, band["kind"], sequence["window"], sequence["peak"])
    assert value(row.tokens) == [token["text"] for token in sequence["tokens"]]
    assert value(row.activations) == [token["activation"] for token in sequence["tokens"]]
    assert row.text == "".join(token["text"] for token in sequence["tokens"])
print("OK      every value is the index's")
