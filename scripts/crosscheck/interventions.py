# Interventions on features in plain PyTorch on transformers' model: what test/unit/inspection/interventions.test.ts holds
# src/inspection to. Codes are changed, decoded by definition, and the error x - x̂ of the unchanged codes is added; float64.
# python scripts/crosscheck/interventions.py test/golden/models/llama3_rope test/golden/inspection/interventions.json
import json
import sys

import numpy as np
import torch
import transformers
from safetensors.torch import load_file

folder, out = sys.argv[1:]
LAYER, WIDTH, MEMBERS = 1, 96, 2
model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
d = model.config.hidden_size
ids = load_file(f"{folder}/reference.safetensors")["input_ids"][:1]


def waves(member, which, rows, columns, scale):
    """Weights that every language computes alike, float32."""
    i, j = np.arange(rows)[:, None], np.arange(columns)[None, :]
    phase = 1.7 * i + 0.37 * j + 0.011 * i * j + 5 * which + 11 * member
    return torch.tensor((scale * np.sin(phase)).astype(np.float32)).double()


SAES = [
    {
        "W_enc": waves(m, 0, d, WIDTH, 0.3),
        "b_enc": waves(m, 1, 1, WIDTH, 0.1)[0],
        "W_dec": waves(m, 2, WIDTH, d, 0.3),
        "b_dec": waves(m, 3, 1, d, 0.1)[0],
    }
    for m in range(MEMBERS)
]


def encode(sae, x):
    return torch.relu((x - sae["b_dec"]) @ sae["W_enc"] + sae["b_enc"])


def decode(sae, codes):
    return codes @ sae["W_dec"] + sae["b_dec"]


def intervened(x, method, interventions, here):
    """x [T, d] float64. Codes that are shown carry the member's weight."""
    weight = 1 / MEMBERS if method == "bagging" else 1
    codes, read = [], x
    for sae in SAES:
        codes.append(encode(sae, read))
        if method == "boosting":
            read = read - decode(sae, codes[-1])
    shown = torch.cat([weight * c for c in codes], dim=1)
    changed = shown.clone()
    for one in interventions:
        rows = slice(here, None) if one["from"] == "here" else slice(0, None)
        for feature in one["features"]:
            part = changed[rows, feature]
            changed[rows, feature] = {
                "ablate": torch.zeros_like(part),
                "scale": one["value"] * part,
                "set": torch.full_like(part, one["value"]),
                "add": part + one["value"],
            }[one["kind"]]

    def reconstruct(all_codes):
        parts = all_codes.split(WIDTH, dim=1)
        return sum(weight * decode(sae, part / weight) for sae, part in zip(SAES, parts))

    return reconstruct(changed) + (x - reconstruct(shown))


@torch.no_grad()
def logits(method, interventions):
    def hook(_module, _inputs, output):
        hidden = output[0] if isinstance(output, tuple) else output
        x = intervened(hidden[0].double(), method, interventions, hidden.shape[1] - 1)
        changed = x.float()[None]
        return (changed, *output[1:]) if isinstance(output, tuple) else changed

    handle = model.model.layers[LAYER].register_forward_hook(hook)
    try:
        return model(ids).logits[0, -1]
    finally:
        handle.remove()


def one(kind, features, value=0.0, where="everywhere"):
    return {"kind": kind, "features": features, "value": value, "from": where}


LISTS = [
    [],
    [one("ablate", [3, 40, WIDTH + 3])],
    [one("scale", [5, WIDTH + 20], -1.5)],
    [one("set", [7, WIDTH + 60], 0.75)],
    [one("add", [11], 2.0, "here")],
    [one("ablate", list(range(0, 2 * WIDTH, 3))), one("add", [12, 13], 1.5), one("scale", [12], 3.0, "here")],
]
cases = [
    {
        "method": method,
        "interventions": interventions,
        "logits": [round(float(value), 7) for value in logits(method, interventions)],
    }
    for method in ("bagging", "boosting")
    for interventions in LISTS
]
with open(out, "w") as file:
    json.dump({"ids": ids[0].tolist(), "hook": f"blocks.{LAYER}.hook_resid_post", "width": WIDTH, "cases": cases}, file)
    file.write("\n")
