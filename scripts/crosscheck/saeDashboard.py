# Has SAEDashboard read our Neuronpedia JSON into its own classes, make its own of the same SAE and tokens, and compares them field by field. Called by saeDashboard.ts.
import json
import os
import sys
import tempfile
from pathlib import Path

os.environ.update(HF_HUB_OFFLINE="1", WANDB_MODE="disabled")
sys.path.insert(0, str(Path(__file__).parents[2] / "bench" / "peers"))

import torch
from language_model import hugging_face, tokenizer_of, transformer_lens
from sae_dashboard.components_config import (
    ActsHistogramConfig,
    Column,
    FeatureTablesConfig,
    LogitsHistogramConfig,
    LogitsTableConfig,
    SequencesConfig,
)
from sae_dashboard.layout import SaeVisLayoutConfig
from sae_dashboard.neuronpedia.neuronpedia_converter import NeuronpediaConverter
from sae_dashboard.neuronpedia.neuronpedia_dashboard import NeuronpediaDashboardBatch
from sae_dashboard.neuronpedia.neuronpedia_runner_config import NeuronpediaRunnerConfig
from sae_dashboard.sae_vis_data import SaeVisConfig
from sae_dashboard.sae_vis_runner import SaeVisRunner
from sae_lens import SAE, HookedSAETransformer

folder = Path(sys.argv[1])
task = json.loads((folder / "task.json").read_text())
failed = False


def check(what, ok, found=""):
    global failed
    failed |= not ok
    print(f"{'OK' if ok else 'NOT OK':7} {what:64} {found}")


def kind(value):
    """A JSON value's kind; whole numbers and others are one."""
    if isinstance(value, bool) or value is None:
        return str(type(value).__name__)
    if isinstance(value, (int, float)):
        return "number"
    if isinstance(value, list):
        kinds = sorted({kind(one) for one in value})
        return f"list of {' and '.join(kinds)}" if kinds else "list"
    return type(value).__name__


def kinds(rows):
    """Of every key the kind that its values have, an empty list being of any."""
    found = {}
    for row in rows:
        for key, value in row.items():
            found.setdefault(key, set()).add(kind(value))
    return {key: some - {"list"} or some for key, some in found.items()}


texts = sorted(Path(task["exported"]).glob("batch-*.json"), key=lambda path: int(path.stem.split("-")[1]))
ours = [json.loads(path.read_text()) for path in texts]
loaded = [NeuronpediaDashboardBatch(**batch) for batch in ours]
check("its classes load every batch and write the same again", [one.to_dict() for one in loaded] == ours, f"{len(ours)} files")

tokens = torch.tensor(task["tokens"])
hooked = transformer_lens(hugging_face(task["model_path"]), tokenizer_of(task["model_path"], task["bos_id"]), 128, HookedSAETransformer)
# As its own runner loads models: the final norm's weight goes into the unembedding, as ours goes through it. (It also centres the unembedding, which moves all logits of a feature by one number.)
hooked.unembed.W_U.data *= hooked.ln_final.w.data[:, None]
hooked.ln_final.w.data.fill_(1)
sae = SAE.load_from_disk(task["sae"], device="cpu")
layout = SaeVisLayoutConfig(
    columns=[
        Column(
            SequencesConfig(stack_mode="stack-all", buffer=None, compute_buffer=True, n_quantiles=5, top_acts_group_size=20, quantile_group_size=5),
            ActsHistogramConfig(),
            LogitsHistogramConfig(),
            LogitsTableConfig(),
            FeatureTablesConfig(n_rows=3),
        )
    ]
)
with tempfile.TemporaryDirectory() as cache:
    config = SaeVisConfig(
        hook_point=task["hook"],
        features=list(range(sae.cfg.d_sae)),
        minibatch_size_tokens=32,
        ignore_tokens={task["bos_id"]},
        feature_centric_layout=layout,
        cache_dir=Path(cache),
    )
    data = SaeVisRunner(config).run(encoder=sae, model=hooked, tokens=tokens)
runner = NeuronpediaRunnerConfig(
    sae_set=ours[0]["sae_set"],
    sae_path="",
    outputs_dir="",
    huggingface_dataset_path="demo",
    n_prompts_total=len(tokens),
    n_tokens_in_prompt=tokens.shape[1],
    model_id=ours[0]["model_id"],
    layer=task["layer"],
)
vocabulary = {token: hooked.tokenizer.decode([token]) for token in range(hooked.cfg.d_vocab)}
theirs = json.loads(NeuronpediaConverter.convert_to_np_json(hooked, data, runner, vocabulary))

heads = [{key: value for key, value in batch.items() if key != "features"} for batch in ours]
same_head = {key: value for key, value in theirs.items() if key != "features"}
check("batch: model_id, layer, sae_set, sae_id_suffix", all(head == same_head for head in heads), json.dumps(same_head))
mine = {feature["feature_index"]: feature for batch in ours for feature in batch["features"]}
other = {feature["feature_index"]: feature for feature in theirs["features"]}
check("the same features", list(mine) == sorted(other), f"{len(mine)}")
for what, a, b in (
    ("feature", mine.values(), other.values()),
    ("activation", *([one for feature in some.values() for one in feature["activations"]] for some in (mine, other))),
):
    a, b = kinds(a), kinds(b)
    # What direct feature attribution adds is optional in their class, and said of attention outputs alone.
    b = {key: value for key, value in b.items() if not key.startswith("dfa_")}
    check(f"{what}: the same keys", list(sorted(a)) == list(sorted(b)), " ".join(sorted(set(a) ^ set(b))))
    # What the index doesn't measure is an empty list, as in their class by default.
    differing = {key: (a[key], b[key]) for key in a if key in b and a[key] != {"list"} and not a[key] <= b[key]}
    check(f"{what}: the same kinds of values", not differing, json.dumps(differing, default=str))
empty = sorted(key for key in other[0] if all(feature[key] == [] for feature in mine.values()))
print(f"        empty in ours: {', '.join(empty)}")

# Theirs counts BOS among the tokens that a feature could fire on; its density has five decimals.
everywhere, counted = tokens.numel(), (tokens != task["bos_id"]).sum().item()
gaps = [abs(mine[i]["frac_nonzero"] * counted - other[i]["frac_nonzero"] * everywhere) for i in mine]
# Where two features are all but equal, or one all but 0, either may be the one that fires.
off = sum(gap > 0.5 for gap in gaps)
check("tokens that each feature fires on", max(gaps) < 1.5 and off <= 0.02 * len(gaps), f"of {counted}; off by one in {off} of {len(gaps)} features")
for name in ("n_prompts_total", "n_tokens_in_prompt", "dataset"):
    check(name, all(mine[i][name] == other[i][name] for i in mine), f"{mine[0][name]}, {other[0][name]}")
fires = [i for i in mine if mine[i]["activations"]]
apart = max(abs(max(max(one["values"]) for one in mine[i]["activations"]) - max(max(one["values"]) for one in other[i]["activations"])) for i in fires)
check("the strongest activation of each feature", apart <= 2e-3, f"furthest apart {apart:.1e}, of {len(fires)} that fire")
peaks = sum(
    mine[i]["activations"][0]["tokens"][mine[i]["activations"][0]["qualifying_token_index"]]
    == max((one for one in other[i]["activations"]), key=lambda one: max(one["values"]))["tokens"][
        (lambda one: one["values"].index(max(one["values"])))(max(other[i]["activations"], key=lambda one: max(one["values"])))
    ]
    for i in fires
)
check("the token at it", peaks >= 0.99 * len(fires), f"{peaks} of {len(fires)}")
for strings, values in (("pos_str", "pos_values"), ("neg_str", "neg_values")):
    # Tokens that the model never saw have equal logits: which of them are shown is open, their values are not.
    shared = sum(len(set(mine[i][strings]) & set(other[i][strings])) for i in mine) / sum(len(other[i][strings]) for i in mine)
    apart = max(abs(a - b) for i in mine for a, b in zip(mine[i][values], other[i][values]))
    counted = all(len(mine[i][values]) == len(other[i][values]) == len(mine[i][strings]) for i in mine)
    check(f"{strings}, {values}", counted and apart <= 2e-3, f"furthest apart {apart:.1e}; {100 * shared:.1f}% of the tokens the same")
sys.exit(1 if failed else 0)
