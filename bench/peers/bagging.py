# Eight TopK SAEs of one layer, from text: SAELens' MultiSAETrainingRunner in one run, and its single runner once for each.
import json
import os
import time

import torch
from datasets import Dataset
from language_model import hugging_face, tokenizer_of, transformer_lens
from protocol import serve
from sae_lens import (
    LanguageModelSAERunnerConfig,
    LanguageModelSAETrainingRunner,
    LoggingConfig,
    TopKTrainingSAEConfig,
)
from sae_lens.multi_sae_training_runner import MultiSAETrainingRunner, MultiSAETrainingRunnerConfig

torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
state = {}


def prepare(model, bos_id, texts, settings):
    with open(texts, encoding="utf-8") as lines:
        state["texts"] = Dataset.from_dict({"text": [json.loads(line)["text"] for line in lines]})
    state["model"] = transformer_lens(hugging_face(model), tokenizer_of(model, bos_id))
    state["settings"] = settings
    return {"torch": torch.__version__}


def shared():
    s = state["settings"]
    return dict(
        model_name="SmolLM2-135M",
        dataset_path="bench",
        streaming=False,
        context_size=s["context_size"],
        training_tokens=s["training_tokens"],
        train_batch_size_tokens=s["train_batch_size_tokens"],
        store_batch_size_prompts=s["store_batch_size_prompts"],
        n_batches_in_buffer=s["n_batches_in_buffer"],
        lr=s["lr"],
        prepend_bos=True,
        device="cpu",
        n_checkpoints=0,
        checkpoint_path=None,
        output_path=None,
        logger=LoggingConfig(log_to_wandb=False),
    )


def sae():
    s = state["settings"]
    return TopKTrainingSAEConfig(d_in=s["d_in"], d_sae=s["d_sae"], k=s["k"])


def overrides():
    return dict(override_dataset=state["texts"], override_model=state["model"])


def multi():
    s = state["settings"]
    names = [f"member_{j}" for j in range(s["n_members"])]
    start = time.perf_counter()
    config = MultiSAETrainingRunnerConfig(saes={name: sae() for name in names}, hook_names=s["hook_name"], **shared())
    MultiSAETrainingRunner(config, **overrides()).run()
    return {"seconds": time.perf_counter() - start}


def single(seed):
    s = state["settings"]
    start = time.perf_counter()
    config = LanguageModelSAERunnerConfig(sae=sae(), hook_name=s["hook_name"], seed=seed, **shared())
    LanguageModelSAETrainingRunner(config, **overrides()).run()
    return {"seconds": time.perf_counter() - start}


serve({"prepare": prepare, "multi": multi, "single": single})
