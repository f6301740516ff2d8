# Training steps of an SAE on a CUDA card: plain dense PyTorch in float32 and TF32, SAELens' own trainer, and sparsify's fused kernels where it is installed.
import time

import torch
from protocol import serve

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def devices():
    can, cannot = ["dense", "dense_tf32"], {}
    # sparsify is the PyPI package eai-sparsify; another one has its name there.
    for name, module, member in (("sae_lens", "sae_lens", "SAE"), ("sparsify", "sparsify", "SparseCoder")):
        try:
            getattr(__import__(module), member)
            can.append(name)
        except Exception as error:
            cannot[name] = f"{type(error).__name__}: {error}".splitlines()[0]
    name = torch.cuda.get_device_name() if DEVICE == "cuda" else "cpu"
    return {"cuda": DEVICE == "cuda", "name": name, "torch": torch.__version__, "can": can, "cannot": cannot}


def dense(architecture, d, F, k):
    """The step as autograd has it, without a library's machinery. JumpReLU: codes above a fixed threshold, a straight-through penalty left out."""
    decoder = torch.randn(F, d, device=DEVICE) * 0.1 / d**0.5
    parameters = {
        "W_enc": decoder.T.contiguous(),
        "W_dec": decoder.clone(),
        "b_enc": torch.zeros(F, device=DEVICE),
        "b_dec": torch.zeros(d, device=DEVICE),
    }
    for value in parameters.values():
        value.requires_grad_()
    adam = torch.optim.Adam(parameters.values(), lr=3e-4, betas=(0.9, 0.999))

    def step(x):
        pre = (x - parameters["b_dec"]) @ parameters["W_enc"] + parameters["b_enc"]
        if architecture == "topk":
            norms = parameters["W_dec"].norm(dim=-1)
            values, indices = torch.topk(pre * norms, k, dim=-1, sorted=False)
            acts = torch.zeros_like(pre).scatter_(-1, indices, values.relu()) / norms
        else:
            acts = pre * (pre > 0.265)
        loss = (acts @ parameters["W_dec"] + parameters["b_dec"] - x).pow(2).sum(-1).mean()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters.values(), 1.0)
        adam.step()
        adam.zero_grad()

    return step


def sae_lens(architecture, d, F, k, batch):
    from sae_lens.config import SAETrainerConfig
    from sae_lens.saes.jumprelu_sae import JumpReLUTrainingSAE, JumpReLUTrainingSAEConfig
    from sae_lens.saes.topk_sae import TopKTrainingSAE, TopKTrainingSAEConfig
    from sae_lens.training.sae_trainer import SAETrainer

    if architecture == "topk":
        sae = TopKTrainingSAE(TopKTrainingSAEConfig(d_in=d, d_sae=F, k=k, device=DEVICE))
    else:
        sae = JumpReLUTrainingSAE(JumpReLUTrainingSAEConfig(d_in=d, d_sae=F, l0_coefficient=0.01, device=DEVICE))
    config = SAETrainerConfig(
        total_training_samples=batch * 1_000_000,
        train_batch_size_samples=batch,
        lr_end=3e-5,
        device=DEVICE,
    )
    trainer = SAETrainer(cfg=config, sae=sae.to(DEVICE), data_provider=iter(()))

    def step(x):
        trainer.step(x)
        trainer.n_training_steps += 1

    return step


def sparsify(architecture, d, F, k):
    if architecture != "topk":
        raise ValueError("sparsify trains topk alone")
    from sparsify import SparseCoder, SparseCoderConfig

    sae = SparseCoder(d, SparseCoderConfig(num_latents=F, k=k), device=DEVICE)
    adam = torch.optim.Adam(sae.parameters(), lr=3e-4, betas=(0.9, 0.999))

    def step(x):
        sae(x).fvu.backward()
        torch.nn.utils.clip_grad_norm_(sae.parameters(), 1.0)
        adam.step()
        adam.zero_grad()

    return step


def step(which, architecture, d, F, k, batch, steps, warm_up):
    torch.backends.cuda.matmul.allow_tf32 = which == "dense_tf32"
    take = {
        "dense": lambda: dense(architecture, d, F, k),
        "dense_tf32": lambda: dense(architecture, d, F, k),
        "sae_lens": lambda: sae_lens(architecture, d, F, k, batch),
        "sparsify": lambda: sparsify(architecture, d, F, k),
    }[which]()
    batches = [torch.randn(batch, d) for _ in range(3)]
    if DEVICE == "cuda":
        batches = [x.pin_memory() for x in batches]

    # From the host, as ours come, and like ours without waiting for one step before the next is given.
    def run(count):
        for s in range(count):
            take(batches[s % 3].to(DEVICE, non_blocking=True))
        if DEVICE == "cuda":
            torch.cuda.synchronize()

    run(warm_up)
    start = time.perf_counter()
    run(steps)
    return {"ms": 1000 * (time.perf_counter() - start) / steps}


serve({"devices": devices, "step": step})
