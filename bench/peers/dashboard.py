# A feature dashboard of every feature of an SAE over given rows of tokens: SAEDashboard's own runner, activations of the model cached once.
import resource
import sys
import tempfile
import time
from pathlib import Path

import torch
from language_model import hugging_face, transformer_lens
from protocol import serve
from sae_dashboard.sae_vis_data import SaeVisConfig
from sae_dashboard.sae_vis_runner import SaeVisRunner
from sae_lens import SAE, HookedSAETransformer

state = {}


def prepare(model, sae, hook, rows):
    hooked = transformer_lens(hugging_face(model), kind=HookedSAETransformer)
    state.update(model=hooked, sae=SAE.load_from_disk(sae, device="cpu"), hook=hook, tokens=torch.tensor(rows))
    return {"torch": torch.__version__, "features": state["sae"].cfg.d_sae}


def peak_bytes():
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


def build():
    before = peak_bytes()
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as cache:
        config = SaeVisConfig(
            hook_point=state["hook"],
            features=list(range(state["sae"].cfg.d_sae)),
            minibatch_size_tokens=8,
            cache_dir=Path(cache),
        )
        data = SaeVisRunner(config).run(encoder=state["sae"], model=state["model"], tokens=state["tokens"])
        data.save_json(Path(cache) / "dashboard.json")
    seconds = time.perf_counter() - start
    return {"seconds": seconds, "peak_bytes": peak_bytes(), "peak_bytes_before": before}


serve({"prepare": prepare, "build": build})
