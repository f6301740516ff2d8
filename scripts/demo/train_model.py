# Trains the demo's language model: a small Llama with a byte-level BPE tokenizer, on the corpus of generate.ts. One CPU thread, seeded.
#
#   node scripts/demo/generate.ts --corpus .cache/demo/corpus.jsonl.gz
#   python scripts/demo/train_model.py --corpus .cache/demo/corpus.jsonl.gz --out media/demo/model
import argparse
import copy
import gzip
import json
import os
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("RAYON_NUM_THREADS", "1")  # the tokenizer's trainer; its result then doesn't depend on the machine

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

BOUNDARY = "<|endoftext|>"  # begins every window and stands between documents, as SAELens packs them
CONTEXT = 128
ROWS = 24


def read_texts(path: Path) -> list[str]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [json.loads(line)["text"] for line in file]


def train_tokenizer(texts: list[str], size: int) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=[BOUNDARY],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def packed(texts: list[str], tokenizer: Tokenizer) -> torch.Tensor:
    """Windows [N, CONTEXT]: each begins with the boundary, documents follow one another with a boundary between."""
    stream: list[int] = []
    for encoding in tokenizer.encode_batch(texts, add_special_tokens=False):
        stream.extend(encoding.ids)
        stream.append(0)
    inner = CONTEXT - 1
    rows = len(stream) // inner
    body = torch.tensor(stream[: rows * inner], dtype=torch.int32).view(rows, inner)
    return torch.cat([torch.zeros(rows, 1, dtype=torch.int32), body], dim=1)


def loss_of(model: LlamaForCausalLM, ids: torch.Tensor) -> torch.Tensor:
    """Mean loss in nats over targets that are no boundary at a window's start."""
    logits = model(ids[:, :-1]).logits
    return torch.nn.functional.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten())


def learning_rate(step: int, steps: int) -> float:
    """Warm-up over 20 steps, then level, then linear to zero over the last 60 %."""
    return min((step + 1) / 20, 1.0, (steps - step) / (0.6 * steps))


class Muon(torch.optim.Optimizer):
    """Momentum orthogonalised by Newton-Schulz (Jordan et al. 2024), in float32: torch's own does it in bfloat16, slow on a CPU."""

    def __init__(self, matrices: list[torch.nn.Parameter], lr: float, momentum: float = 0.95, weight_decay: float = 0.05) -> None:
        super().__init__(matrices, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self) -> None:
        for group in self.param_groups:
            by_shape: dict[torch.Size, list[torch.nn.Parameter]] = {}
            for matrix in group["params"]:
                by_shape.setdefault(matrix.shape, []).append(matrix)
            for shape, matrices in by_shape.items():
                updates = []
                for matrix in matrices:
                    velocity = self.state[matrix].setdefault("velocity", torch.zeros_like(matrix))
                    velocity.lerp_(matrix.grad, 1 - group["momentum"])
                    updates.append(matrix.grad.lerp(velocity, group["momentum"]))
                directions = orthogonalised(torch.stack(updates))
                # The root mean square of an AdamW step (Moonlight's scaling), so that one learning rate fits every shape.
                rate = group["lr"] * 0.2 * max(shape) ** 0.5
                for matrix, direction in zip(matrices, directions):
                    matrix.mul_(1 - group["lr"] * group["weight_decay"]).add_(direction, alpha=-rate)


def orthogonalised(batch: torch.Tensor) -> torch.Tensor:
    wide = batch.shape[-2] <= batch.shape[-1]
    x = batch if wide else batch.mT
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(5):
        gram = x @ x.mT
        x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram @ gram) @ x
    return x if wide else x.mT


def train(model: LlamaForCausalLM, windows: torch.Tensor, steps: int, seed: int, snapshot: Callable[[], None]) -> None:
    matrices = [p for name, p in model.named_parameters() if p.ndim == 2 and "layers" in name]
    others = [p for name, p in model.named_parameters() if not (p.ndim == 2 and "layers" in name)]
    optimisers = [
        Muon(matrices, lr=6e-3),
        torch.optim.AdamW(others, lr=4e-3, betas=(0.9, 0.98), weight_decay=0.0),
    ]
    base = [group["lr"] for optimiser in optimisers for group in optimiser.param_groups]
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(windows), generator=generator)
    at, started, running = 0, time.time(), None
    for step in range(steps):
        if at + ROWS > len(order):
            order, at = torch.randperm(len(windows), generator=generator), 0
        ids = windows[order[at : at + ROWS]].long()
        at += ROWS
        scale = learning_rate(step, steps)
        for optimiser, rate in zip(optimisers, base):
            for group in optimiser.param_groups:
                group["lr"] = rate * scale
        loss = loss_of(model, ids)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimiser in optimisers:
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
        running = loss.item() if running is None else 0.95 * running + 0.05 * loss.item()
        if step % 20 == 0 or step == steps - 1:
            print(f"step {step} of {steps}  loss {running:.3f}  {time.time() - started:.0f} s", flush=True)
        if step % 150 == 149:
            snapshot()


def save(model: LlamaForCausalLM, tokenizer: Tokenizer, folder: Path) -> None:
    copy.deepcopy(model).to(torch.bfloat16).save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)
    (folder / "model.safetensors").chmod(0o644)
    # transformers 5 keeps the base of RoPE in rope_parameters alone; older readers look for rope_theta.
    rewrite(folder / "config.json", {"rope_theta": model.config.rope_parameters["rope_theta"]})
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=BOUNDARY,
        eos_token=BOUNDARY,
        model_max_length=CONTEXT,
        clean_up_tokenization_spaces=False,
    ).save_pretrained(folder)
    rewrite(folder / "tokenizer_config.json", {"tokenizer_class": "PreTrainedTokenizerFast"})


def rewrite(path: Path, changes: dict) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes, indent=2, sort_keys=True) + "\n")


def main() -> None:
    arguments = argparse.ArgumentParser(description="Train the demo's language model.")
    arguments.add_argument("--corpus", type=Path, required=True)
    arguments.add_argument("--out", type=Path, required=True)
    arguments.add_argument("--steps", type=int, default=1300)
    arguments.add_argument("--seed", type=int, default=2505)
    arguments.add_argument("--vocabulary", type=int, default=3072)
    arguments.add_argument("--width", type=int, default=160)
    arguments.add_argument("--layers", type=int, default=5)
    options = arguments.parse_args()

    torch.set_num_threads(1)  # one thread: the same sums in the same order on every run
    torch.manual_seed(options.seed)
    torch.use_deterministic_algorithms(True)
    texts = read_texts(options.corpus)
    tokenizer = train_tokenizer(texts, options.vocabulary)
    windows = packed(texts, tokenizer)
    print(f"{len(texts)} documents, {windows.numel()} tokens, {sum(map(len, texts)) / windows.numel():.2f} characters a token")
    config = LlamaConfig(
        vocab_size=options.vocabulary,
        hidden_size=options.width,
        intermediate_size=int(options.width * 2.8),
        num_hidden_layers=options.layers,
        num_attention_heads=options.width // 32,
        num_key_value_heads=options.width // 32,
        max_position_embeddings=CONTEXT,
        rope_theta=10000.0,
        rms_norm_eps=1e-5,
        tie_word_embeddings=False,
        bos_token_id=0,
        eos_token_id=0,
        pad_token_id=None,
    )
    model = LlamaForCausalLM(config)
    print(f"{sum(p.numel() for p in model.parameters()):,} parameters")
    train(model, windows, options.steps, options.seed, lambda: save(model, tokenizer, options.out))
    save(model, tokenizer, options.out)


if __name__ == "__main__":
    main()
