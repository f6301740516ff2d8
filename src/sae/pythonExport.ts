// An ensemble as a folder that Python uses as one SAE: the ensemble's own files, and a short module with SAEBench's contract (encode, decode, forward, W_enc, W_dec, b_enc, b_dec, cfg, dtype, device) that reads them.
import { join } from "node:path";
import { writeFileAtomic } from "../formats/atomicWrite.ts";
import { requireOneDecoder } from "./combine.ts";
import type { Ensemble } from "./ensemble.ts";
import { saveEnsemble } from "./ensembleFolder.ts";

export const PYTHON_FILE = "ensemble_sae.py";

/** Writes the folder. Throws RangeError where a member normalises each token: then the ensemble has no one decoder. */
export async function savePythonEnsemble(folder: string, ensemble: Ensemble): Promise<void> {
  requireOneDecoder(ensemble);
  await saveEnsemble(folder, ensemble);
  await writeFileAtomic(join(folder, PYTHON_FILE), MODULE);
}

const MODULE = `"""This folder's ensemble of sparse autoencoders as one SAE with SAEBench's contract. Needs torch and safetensors.

    from ensemble_sae import EnsembleSAE
    sae = EnsembleSAE()                # or EnsembleSAE(folder, device="cuda", dtype=torch.bfloat16)
    codes = sae.encode(x)              # [..., J*F], members side by side, each times its weight
    reconstruction = sae.decode(codes)

At hook_z x may be [..., heads, d_head] as well as flat. Bagging: every member encodes x. Boosting: member j encodes what the members before it leave of x (arXiv 2505.16077).
"""

import json
import re
from pathlib import Path
from types import SimpleNamespace

import torch
from safetensors.torch import load_file


class EnsembleSAE(torch.nn.Module):
    def __init__(self, folder=Path(__file__).parent, device="cpu", dtype=torch.float32):
        super().__init__()
        folder = Path(folder)
        ensemble = json.loads((folder / "ensemble.json").read_text(encoding="utf-8"))
        self.method, self.alphas = ensemble["method"], ensemble["weights"]
        self.members = []
        for name in ensemble["members"]:
            cfg = json.loads((folder / name / "cfg.json").read_text(encoding="utf-8"))
            weights = load_file(folder / name / "sae_weights.safetensors")
            norms = weights["W_dec"].norm(dim=-1) if cfg.get("rescale_acts_by_decoder_norm") else None
            self.members.append((cfg, weights, norms))
        decoders = [w["W_dec"] if n is None else w["W_dec"] / n[:, None] for _, w, n in self.members]
        biases = [w.get("b_enc", w.get("b_mag")) for _, w, _ in self.members]
        self.W_enc = torch.nn.Parameter(torch.cat([w["W_enc"] for _, w, _ in self.members], 1), requires_grad=False)
        self.W_dec = torch.nn.Parameter(torch.cat(decoders), requires_grad=False)
        self.b_enc = torch.nn.Parameter(torch.cat(biases), requires_grad=False)
        b_dec = sum(a * w["b_dec"] for a, (_, w, _) in zip(self.alphas, self.members))
        self.b_dec = torch.nn.Parameter(b_dec, requires_grad=False)
        self.heads_apart = any(cfg.get("reshape_activations") == "hook_z" for cfg, _, _ in self.members)
        metadata = self.members[0][0]["metadata"]
        layer = re.search(r"blocks\\.(\\d+)\\.", ensemble["hook"])
        fields = dict(
            model_name=metadata.get("model_name") or "",
            d_in=self.W_dec.shape[1],
            d_sae=self.W_dec.shape[0],
            hook_layer=int(layer.group(1)) if layer else 0,
            hook_name=ensemble["hook"],
        )
        try:
            from sae_bench.custom_saes.custom_sae_config import CustomSAEConfig

            self.cfg = CustomSAEConfig(**fields)
        except ImportError:
            self.cfg = SimpleNamespace(**fields)
        self.cfg.architecture = f"{self.method}_ensemble"
        self.cfg.context_size = metadata.get("context_size")
        self.cfg.prepend_bos = metadata.get("prepend_bos", True)
        self.cfg.dataset_path = metadata.get("dataset_path") or ""
        self.to(device=device, dtype=dtype)

    def to(self, *args, **kwargs):
        super().to(*args, **kwargs)
        self.device, self.dtype = self.W_dec.device, self.W_dec.dtype
        self.cfg.dtype, self.cfg.device = str(self.dtype).split(".")[1], str(self.device)
        move = lambda tensor: None if tensor is None else tensor.to(device=self.device, dtype=self.dtype)
        self.members = [(c, {k: move(v) for k, v in w.items()}, move(n)) for c, w, n in self.members]
        return self

    def encode(self, x):
        x = x.to(self.dtype)
        if self.heads_apart and x.shape[-1] != self.W_enc.shape[0]:
            x = x.flatten(-2)
        codes, start = [], 0
        for alpha, (cfg, weights, norms) in zip(self.alphas, self.members):
            own = alpha * encode_member(cfg, weights, norms, x)
            codes.append(own)
            if self.method == "boosting":
                width = own.shape[-1]
                x = x - (own @ self.W_dec[start : start + width] + alpha * weights["b_dec"])
                start += width
        return torch.cat(codes, -1)

    def decode(self, codes):
        return codes @ self.W_dec + self.b_dec

    def forward(self, x):
        return self.decode(self.encode(x)).reshape(x.shape)


def encode_member(cfg, w, norms, x):
    """A member's codes, before its weight in the ensemble."""
    pre = (x - w["b_dec"] if cfg["apply_b_dec_to_input"] else x) @ w["W_enc"]
    if cfg["architecture"] == "gated":
        return (pre + w["b_gate"] > 0) * torch.relu(pre * w["r_mag"].exp() + w["b_mag"])
    pre = pre + w["b_enc"]
    if norms is not None:
        pre = pre * norms
    if cfg["architecture"] == "jumprelu":
        return torch.relu(pre) * (pre > w["threshold"])
    if cfg["architecture"] == "topk":
        top = pre.topk(int(cfg["k"]), dim=-1)
        return torch.zeros_like(pre).scatter(-1, top.indices, torch.relu(top.values))
    return torch.relu(pre)
`;
