# Greedy generation with transformers' own cache.
import time

import torch
from language_model import hugging_face
from protocol import serve

state = {}


def prepare(model, prompt):
    state["model"] = hugging_face(model)
    state["prompt"] = torch.tensor([prompt])
    return {"torch": torch.__version__}


@torch.inference_mode()
def run(tokens):
    """Seconds for a prompt and `tokens` after it, none of them ending the text early."""
    prompt = state["prompt"]
    start = time.perf_counter()
    ids = state["model"].generate(
        prompt,
        attention_mask=torch.ones_like(prompt),
        do_sample=False,
        max_new_tokens=tokens,
        min_new_tokens=tokens,
        pad_token_id=0,
        use_cache=True,
    )
    seconds = time.perf_counter() - start
    return {"seconds": seconds, "ids": ids[0, prompt.shape[1] :].tolist()}


serve({"prepare": prepare, "run": run})
