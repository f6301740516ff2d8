# Activations of one layer for batches of token rows: TransformerLens stopping at the layer, and transformers with the layers behind it taken away.
import time

import torch
from language_model import hugging_face, transformer_lens
from matmul import matmul_rate
from protocol import serve

state = {}


def prepare(model, layer, batches):
    base = hugging_face(model)
    state["layer"] = layer
    state["hooked"] = transformer_lens(base)
    base.model.layers = base.model.layers[: layer + 1]
    base.model.norm = torch.nn.Identity()
    state["base"] = base.model
    state["batches"] = []
    for rows in batches:
        length = max(map(len, rows))
        # Padding stands on the right: under causal attention it changes nothing before it, so no mask is needed.
        state["batches"].append(torch.tensor([row + [0] * (length - len(row)) for row in rows]))
    return {"torch": torch.__version__}


def hooked(ids):
    name = f"blocks.{state['layer']}.hook_resid_post"
    _, cache = state["hooked"].run_with_cache(ids, names_filter=[name], stop_at_layer=state["layer"] + 1, return_type=None)
    return cache[name]


def transformers(ids):
    return state["base"](input_ids=ids, use_cache=False).last_hidden_state


@torch.inference_mode()
def run(which, batches):
    """The first batches once each; the norm at the first row's second token is answered for comparison."""
    take = {"hooked": hooked, "transformers": transformers}[which]
    start = time.perf_counter()
    probes = []
    for ids in state["batches"][:batches]:
        probes.append(take(ids)[0, 1].norm().item())
    return {"seconds": time.perf_counter() - start, "probes": probes}


serve({"matmul_rate": matmul_rate, "prepare": prepare, "run": run})
