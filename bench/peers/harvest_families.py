# Activations behind the last layer of a random model for batches of token rows, by TransformerLens or by transformers, one of them a process, so that its peak memory is its own.
import os
import resource
import time

import torch
from matmul import matmul_rate
from protocol import serve
from random_models import hugging_face_folder, transformer_lens_folder, write_model

torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))

state = {}


def write(family, folder):
    write_model(family, folder)
    return {"torch": torch.__version__}


def prepare(which, folder, batches):
    state["batches"] = [torch.tensor(rows) for rows in batches]
    if which == "hooked":
        model = transformer_lens_folder(folder)
        last = model.cfg.n_layers - 1
        name = f"blocks.{last}.hook_resid_post"
        state["take"] = lambda ids: model.run_with_cache(ids, names_filter=[name], stop_at_layer=last + 1, return_type=None)[1][name]
    else:
        base = hugging_face_folder(folder).base_model
        for norm in ("norm", "final_layer_norm", "ln_f"):
            if hasattr(base, norm):
                setattr(base, norm, torch.nn.Identity())
        state["take"] = lambda ids: base(input_ids=ids, use_cache=False).last_hidden_state
    return {}


@torch.inference_mode()
def run(batches):
    """The first batches once each; the norm at the first row's second token is answered for comparison."""
    start, processor = time.perf_counter(), time.process_time()
    probes = [state["take"](ids)[0, 1].norm().item() for ids in state["batches"][:batches]]
    times = {"seconds": time.perf_counter() - start, "processorSeconds": time.process_time() - processor}
    return {**times, "probes": probes, "peakBytes": 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss}


serve({"matmul_rate": matmul_rate, "prepare": prepare, "run": run, "write": write})
