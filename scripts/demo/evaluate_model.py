# Prints the demo model's loss on texts it never saw, beside unigram, bigram and trigram models of the same tokens. One CPU thread.
#
#   node scripts/demo/generate.ts --corpus .cache/demo/corpus.jsonl.gz
#   python scripts/demo/evaluate_model.py --corpus .cache/demo/corpus.jsonl.gz
import argparse
import gzip
import json
import math
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM, AutoTokenizer

DEMO = Path(__file__).resolve().parents[2] / "media" / "demo"
BOUNDARY = 0
DISCOUNT = 0.75


def read(path: Path) -> list[dict]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


class KneserNey:
    """Interpolated Kneser-Ney models of orders 1 to 3 (Chen and Goodman 1998), absolute discount 0.75, over a stream of token ids."""

    def __init__(self, stream: np.ndarray, size: int) -> None:
        self.size = size
        counts = np.bincount(stream, minlength=size)
        self.unigram = (counts + 1) / (counts.sum() + size)
        stream = stream.astype(np.int64)
        self.bigrams = Table(stream[:-1] * size + stream[1:], size)
        self.trigrams = Table((stream[:-2] * size + stream[1:-1]) * size + stream[2:], size)
        # Lower orders count the different contexts that a token follows, not how often it stands there.
        followed = np.bincount(self.bigrams.keys % size, minlength=size)
        self.continuation = (followed + 1) / (followed.sum() + size)
        self.inner = Table(self.trigrams.keys % size**2, size)

    def losses(self, stream: np.ndarray) -> dict[str, np.ndarray]:
        """Nats for every token from the second on."""
        stream = stream.astype(np.int64)
        last, target = stream[:-1], stream[1:]
        before = np.concatenate([[BOUNDARY], last[:-1]])
        bigram = self.bigrams.probability(last, target, self.continuation[target])
        inner = self.inner.probability(last, target, self.continuation[target])
        trigram = self.trigrams.probability(before * self.size + last, target, inner)
        return {"unigram": -np.log(self.unigram[target]), "bigram": -np.log(bigram), "trigram": -np.log(trigram)}


class Table:
    def __init__(self, keys: np.ndarray, size: int) -> None:
        self.size = size
        self.keys, self.counts = np.unique(keys, return_counts=True)
        self.contexts, first = np.unique(self.keys // size, return_index=True)
        self.totals = np.add.reduceat(self.counts, first)
        self.kinds = np.diff(np.append(first, len(self.keys)))

    def probability(self, context: np.ndarray, target: np.ndarray, lower: np.ndarray) -> np.ndarray:
        key = context * self.size + target
        at = np.minimum(np.searchsorted(self.keys, key), len(self.keys) - 1)
        count = np.where(self.keys[at] == key, self.counts[at], 0)
        at = np.minimum(np.searchsorted(self.contexts, context), len(self.contexts) - 1)
        known = self.contexts[at] == context
        total, kinds = self.totals[at], self.kinds[at]
        seen = np.maximum(count - DISCOUNT, 0) / total + DISCOUNT * kinds / total * lower
        return np.where(known, seen, lower)


@torch.no_grad()
def model_losses(model: torch.nn.Module, rows: list[list[int]]) -> list[np.ndarray]:
    """Nats for every token of every row but its first, a document a row, in batches of rows of like length."""
    losses: list[np.ndarray] = [np.zeros(0)] * len(rows)
    order = sorted(range(len(rows)), key=lambda i: len(rows[i]))
    for start in range(0, len(order), 32):
        batch = order[start : start + 32]
        width = max(len(rows[i]) for i in batch)
        ids = torch.full((len(batch), width), BOUNDARY)
        mask = torch.zeros(len(batch), width, dtype=torch.long)
        for row, i in enumerate(batch):
            ids[row, : len(rows[i])] = torch.tensor(rows[i])
            mask[row, : len(rows[i])] = 1
        logits = model(ids, attention_mask=mask).logits.float()
        nats = torch.nn.functional.cross_entropy(logits[:, :-1].transpose(1, 2), ids[:, 1:], reduction="none").double().numpy()
        for row, i in enumerate(batch):
            losses[i] = nats[row, : len(rows[i]) - 1]
    return losses


def main() -> None:
    arguments = argparse.ArgumentParser(description="Loss of the demo model against n-gram models.")
    arguments.add_argument("--corpus", type=Path, required=True)
    arguments.add_argument("--model", type=Path, default=DEMO / "model")
    options = arguments.parse_args()
    torch.set_num_threads(1)
    tokenizer = Tokenizer.from_file(str(options.model / "tokenizer.json"))
    model = AutoModelForCausalLM.from_pretrained(options.model, dtype=torch.float32).eval()

    def rows_of(texts: list[str]) -> list[list[int]]:
        return [[BOUNDARY, *encoding.ids, BOUNDARY] for encoding in tokenizer.encode_batch(texts, add_special_tokens=False)]

    stream = [id for row in rows_of([document["text"] for document in read(options.corpus)]) for id in row[1:]]
    grams = KneserNey(np.array(stream, dtype=np.int64), tokenizer.get_vocab_size())

    documents = read(DEMO / "text" / "test.jsonl.gz")
    windows, kinds, lengths = [], [], []
    for document, row in zip(documents, rows_of([document["text"] for document in documents])):
        # Documents longer than the context are scored in windows, each beginning with the boundary.
        for start in range(0, len(row) - 1, 127):
            windows.append([BOUNDARY, *row[1 + start : 128 + start]])
            kinds.append(document["kind"])
            lengths.append(len(document["text"].encode()) if start == 0 else 0)
    totals: dict[str, dict[str, float]] = {}
    for window, kind, length, nats in zip(windows, kinds, lengths, model_losses(model, windows)):
        family = kind if kind in ("austen", "wordnet") else "generated"
        scores = {"model": nats, **grams.losses(np.array(window))}
        for part in ("all", family):
            sums = totals.setdefault(part, {"bytes": 0, "tokens": 0})
            sums["bytes"] += length
            sums["tokens"] += len(nats)
            for name, values in scores.items():
                sums[name] = sums.get(name, 0.0) + float(values.sum())
    names = ["unigram", "bigram", "trigram", "model"]
    print(f"{sum(p.numel() for p in model.parameters()):,} parameters; held-out loss, nats a token (bits a byte)")
    print("| held-out text | tokens | " + " | ".join(names) + " |")
    print("|---|---|" + "---|" * len(names))
    for part in ("all", "generated", "austen", "wordnet"):
        sums = totals[part]
        cells = [f"{sums[name] / sums['tokens']:.3f} ({sums[name] / math.log(2) / sums['bytes']:.3f})" for name in names]
        print(f"| {part} | {sums['tokens']:.0f} | " + " | ".join(cells) + " |")

    words = AutoTokenizer.from_pretrained(options.model)
    torch.manual_seed(0)
    for prompt in ("", "Nina Patel works at", "Once upon a time", "Dear", "Je", '"I am sure', "bird:", "def "):
        ids = torch.tensor([[BOUNDARY, *tokenizer.encode(prompt, add_special_tokens=False).ids]])
        made = model.generate(ids, max_new_tokens=60, do_sample=True, temperature=0.7, top_k=0, pad_token_id=BOUNDARY, eos_token_id=BOUNDARY)
        print(f"\n> {prompt!r}\n{words.decode(made[0], skip_special_tokens=True)}")


if __name__ == "__main__":
    main()
