# Training steps of an SAE: SAELens' own trainer with its defaults, and the same step in plain dense PyTorch (topk, standard).
import os
import time

import numpy as np
import torch
from protocol import serve
from sae_lens.config import SAETrainerConfig
from sae_lens.saes.gated_sae import GatedTrainingSAE, GatedTrainingSAEConfig
from sae_lens.saes.jumprelu_sae import JumpReLUTrainingSAE, JumpReLUTrainingSAEConfig
from sae_lens.saes.matryoshka_batchtopk_sae import MatryoshkaBatchTopKTrainingSAE, MatryoshkaBatchTopKTrainingSAEConfig
from sae_lens.saes.standard_sae import StandardTrainingSAE, StandardTrainingSAEConfig
from sae_lens.saes.topk_sae import TopKTrainingSAE, TopKTrainingSAEConfig
from sae_lens.training.sae_trainer import SAETrainer
from safetensors.torch import save_file

torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
state = {}


def synthetic(rows, d, seed):
    """Activations with the statistics of a residual stream: a mean, a few hundred sparse directions, some noise."""
    generator = np.random.default_rng(seed)
    directions = generator.standard_normal((4 * d, d), dtype=np.float32)
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    mean = 0.5 * generator.standard_normal(d, dtype=np.float32)
    x = 0.3 * generator.standard_normal((rows, d), dtype=np.float32) + mean
    for _ in range(24):
        chosen = generator.integers(0, len(directions), rows)
        x += directions[chosen] * generator.exponential(2.0, (rows, 1)).astype(np.float32)
    return x


class Dense(torch.nn.Module):
    """The same losses without SAELens' machinery: the fastest that autograd gives without sparse kernels."""

    def __init__(self, weights, k=None, l1_coefficient=None):
        super().__init__()
        self.k = k
        self.l1_coefficient = l1_coefficient
        for name, value in weights.items():
            setattr(self, name, torch.nn.Parameter(value.clone()))

    def loss(self, x):
        norms = self.W_dec.norm(dim=-1)
        pre = (x - self.b_dec) @ self.W_enc + self.b_enc
        if self.k is None:
            acts = pre.relu()
            penalty = self.l1_coefficient * (acts @ norms).mean()
        else:
            values, indices = torch.topk(pre * norms, self.k, dim=-1, sorted=False)
            acts = torch.zeros_like(pre).scatter_(-1, indices, values.relu()) / norms
            penalty = 0
        return (acts @ self.W_dec + self.b_dec - x).pow(2).sum(-1).mean() + penalty


def training_sae(architecture, d, F, k, coefficient, matryoshka_widths):
    if architecture == "matryoshka_batchtopk":
        config = MatryoshkaBatchTopKTrainingSAEConfig(d_in=d, d_sae=F, k=k, matryoshka_widths=matryoshka_widths)
        return MatryoshkaBatchTopKTrainingSAE(config)
    if architecture == "topk":
        return TopKTrainingSAE(TopKTrainingSAEConfig(d_in=d, d_sae=F, k=k))
    if architecture == "jumprelu":
        return JumpReLUTrainingSAE(JumpReLUTrainingSAEConfig(d_in=d, d_sae=F, l0_coefficient=coefficient))
    config = {"standard": StandardTrainingSAEConfig, "gated": GatedTrainingSAEConfig}[architecture]
    sae = {"standard": StandardTrainingSAE, "gated": GatedTrainingSAE}[architecture]
    return sae(config(d_in=d, d_sae=F, l1_coefficient=coefficient))


def prepare(
    d, F, k, batch, batches, seed, folder, dead_feature_window,
    architecture="topk", coefficient=None, matryoshka_widths=None,
):  # fmt: skip
    torch.manual_seed(seed)
    data = torch.from_numpy(synthetic(batch * batches, d, seed)).view(batches, batch, d)
    sae = training_sae(architecture, d, F, k, coefficient, matryoshka_widths)
    weights = {name: value.detach().clone().contiguous() for name, value in sae.state_dict().items()}
    save_file({"x": data.contiguous(), **weights}, os.path.join(folder, "start.safetensors"))
    config = SAETrainerConfig(
        total_training_samples=batch * 1_000_000,
        train_batch_size_samples=batch,
        lr_end=3e-5,  # SAELens' runner: lr / 10; the constant schedule ignores it
        dead_feature_window=dead_feature_window,
    )
    dense = {
        "topk": lambda: Dense(weights, k=k),
        "standard": lambda: Dense(weights, l1_coefficient=coefficient),
    }.get(architecture, lambda: None)()
    state.update(
        data=data,
        trainer=SAETrainer(cfg=config, sae=sae, data_provider=iter(())),
        dense=dense,
        adam=dense and torch.optim.Adam(dense.parameters(), lr=3e-4, betas=(0.9, 0.999)),
        taken={"sae_lens": 0, "dense": 0},
        loss={},
    )
    defaults = {
        "lr": config.lr,
        "adam_beta1": config.adam_beta1,
        "adam_beta2": config.adam_beta2,
        **{
            key: getattr(sae.cfg, key)
            for key in ("rescale_acts_by_decoder_norm", "aux_loss_coefficient", "jumprelu_bandwidth", "lp_norm")
            if hasattr(sae.cfg, key)
        },
        "apply_b_dec_to_input": sae.cfg.apply_b_dec_to_input,
        "normalize_activations": sae.cfg.normalize_activations,
    }
    return {"parameters": sorted(weights), "defaults": defaults, "torch": torch.__version__}


def sae_lens_step(x):
    trainer = state["trainer"]
    output = trainer.step(x)
    trainer.n_training_steps += 1
    return output.loss


def dense_step(x):
    loss = state["dense"].loss(x)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(state["dense"].parameters(), 1.0)
    state["adam"].step()
    state["adam"].zero_grad()
    return loss


def step(which, steps):
    take = {"sae_lens": sae_lens_step, "dense": dense_step}[which]
    milliseconds = []
    for _ in range(steps):
        x = state["data"][state["taken"][which] % len(state["data"])]
        start = time.perf_counter()
        loss = take(x)
        milliseconds.append(1000 * (time.perf_counter() - start))
        state["taken"][which] += 1
    loss = loss.item() if isinstance(loss, torch.Tensor) else loss
    dead = int(state["trainer"].dead_neurons.sum()) if which == "sae_lens" else 0
    return {"ms": milliseconds, "loss": loss, "n_dead": dead}


serve({"prepare": prepare, "step": step})
