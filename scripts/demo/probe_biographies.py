# Prints how well linear probes read profession and gender from the demo model's activations, and what a biased training set does to them.
#
#   python scripts/demo/probe_biographies.py
import argparse
import gzip
import json
from pathlib import Path

import torch
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM

# Three pairs that share a world, and two that do not.
PAIRS = [("nurse", "surgeon"), ("teacher", "professor"), ("journalist", "photographer"), ("nurse", "professor"), ("surgeon", "teacher")]
DEMO = Path(__file__).resolve().parents[2] / "media" / "demo"


def read(part: str) -> list[dict]:
    with gzip.open(DEMO / f"bios-{part}.jsonl.gz", "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


@torch.no_grad()
def pooled(model: torch.nn.Module, tokenizer: Tokenizer, texts: list[str], layer: int) -> torch.Tensor:
    """Mean activation [N, d] after block `layer`, the boundary left out."""
    means = torch.zeros(len(texts), model.config.hidden_size)
    ids = [encoding.ids[:127] for encoding in tokenizer.encode_batch(texts, add_special_tokens=False)]
    order = sorted(range(len(texts)), key=lambda i: len(ids[i]))
    for start in range(0, len(order), 64):
        batch = order[start : start + 64]
        width = 1 + len(ids[batch[-1]])
        rows = torch.zeros(len(batch), width, dtype=torch.long)
        mask = torch.zeros(len(batch), width)
        for row, i in enumerate(batch):
            rows[row, 1 : 1 + len(ids[i])] = torch.tensor(ids[i])
            mask[row, 1 : 1 + len(ids[i])] = 1
        # hidden_states[l + 1] is the output of block l, except after the last, where the final norm is in it.
        values = model.model(rows, output_hidden_states=True).hidden_states[layer + 1]
        means[batch] = (values * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
    return means


def probe(x: torch.Tensor, y: torch.Tensor, seed: int) -> torch.nn.Linear:
    """SAEBench's probe: AdamW, lr 1e-3, binary cross entropy, 1e-3 of the weights' L1 norm, batch 16, 20 epochs."""
    generator = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    linear = torch.nn.Linear(x.shape[1], 1)
    optimiser = torch.optim.AdamW(linear.parameters(), lr=1e-3)
    for _ in range(20):
        for batch in torch.randperm(len(x), generator=generator).split(16):
            loss = torch.nn.functional.binary_cross_entropy_with_logits(linear(x[batch])[:, 0], y[batch].float())
            (loss + 1e-3 * linear.weight.abs().sum()).backward()
            optimiser.step()
            optimiser.zero_grad()
    return linear


def main() -> None:
    arguments = argparse.ArgumentParser(description="Probes for profession and gender on the demo model.")
    arguments.add_argument("--model", type=Path, default=DEMO / "model")
    arguments.add_argument("--layer", type=int, default=2)
    options = arguments.parse_args()
    torch.set_num_threads(1)
    tokenizer = Tokenizer.from_file(str(options.model / "tokenizer.json"))
    model = AutoModelForCausalLM.from_pretrained(options.model, dtype=torch.float32).eval()
    data = {}
    for part in ("train", "test"):
        rows = read(part)
        x = pooled(model, tokenizer, [row["text"] for row in rows], options.layer)
        data[part] = (x, [row["profession"] for row in rows], torch.tensor([row["gender"] == "female" for row in rows]))

    def accuracy(linear: torch.nn.Linear, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            return ((linear(x)[:, 0] > 0) == y).double()

    (x, _, female), (test_x, _, test_female) = data["train"], data["test"]
    print(f"blocks.{options.layer}.hook_resid_post, mean-pooled, test part")
    print(f"gender, all professions: {accuracy(probe(x, female, 0), test_x, test_female).mean():.3f}")
    print("| A / B | gender | balanced: accuracy | worst group | biased: A female, B male | worst group | biased: A male, B female | worst group |")
    print("|---|---|---|---|---|---|---|---|")
    for a, b in PAIRS:
        sets = {}
        for part, (values, names, women) in data.items():
            mine = torch.tensor([name in (a, b) for name in names])
            is_a = torch.tensor([name == a for name in names])
            sets[part] = (values[mine], is_a[mine], women[mine])
        train_x, train_y, train_female = sets["train"]
        values, labels, women = sets["test"]
        generator = torch.Generator().manual_seed(0)
        half = torch.randperm(len(train_x), generator=generator)[: len(train_x) // 2]
        choices = [half, (train_y == train_female).nonzero()[:, 0], (train_y != train_female).nonzero()[:, 0]]
        cells = [f"{accuracy(probe(train_x[half], train_female[half], 0), values, women).mean():.3f}"]
        for choice in choices:
            right = accuracy(probe(train_x[choice], train_y[choice], 0), values, labels)
            groups = [right[(labels == label) & (women == woman)].mean().item() for label in (True, False) for woman in (True, False)]
            cells += [f"{right.mean():.3f}", f"{min(groups):.3f}"]
        print(f"| {a} / {b} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
