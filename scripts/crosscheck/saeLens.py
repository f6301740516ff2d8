# Loads every member folder below the given one with SAELens and compares its codes and reconstructions with io.safetensors beside it. Called by saeLens.ts.
import glob
import importlib.util
import os
import sys

import torch
from safetensors.torch import load_file
from sae_lens import SAE

TOLERANCE = 1e-5
# Of the activations at hook_z, as saeLens.ts has them side by side.
HEADS = 4
failed = False


def hook_of(name):
    return "blocks.0.attn.hook_z" if os.path.basename(name.split(os.sep + "member_")[0]).startswith("heads_") else "blocks.0.hook_resid_post"


def as_given(x, cfg):
    """Activations as TransformerLens gives them at the hook."""
    return x.unflatten(-1, (HEADS, -1)) if getattr(cfg, "reshape_activations", "none") == "hook_z" else x


def run(sae, x):
    """Codes, and the reconstruction with the heads side by side."""
    with torch.no_grad():
        codes = sae.encode(as_given(x, sae.cfg))
        out = sae.decode(codes)
    codes = codes.to_dense() if codes.is_sparse else codes
    return codes, out.reshape(x.shape)


def check(name, what, codes, out, io, more=True):
    global failed
    # The same features must be active, not only near values.
    differing = ((codes > 0) != (io["codes"] > 0)).sum().item()
    code_error = (codes - io["codes"]).abs().max().item()
    out_error = (out - io["reconstruction"]).abs().max().item()
    l0 = (codes > 0).float().sum(-1).mean().item()
    ok = code_error < TOLERANCE and out_error < TOLERANCE and differing == 0 and l0 > 0 and more
    failed |= not ok
    print(f"{'OK' if ok else 'NOT OK':7} {name:44} {what:13} L0 {l0:5.2f}  codes {code_error:.1e}  reconstruction {out_error:.1e}")


# How far a reconstruction may be off, as a share of its norm, where weights and sums are of half precision: near ties of a TopK fall the other way.
HALVES = {torch.float16: 0.01, torch.bfloat16: 0.1}


def check_halves(name, load, io):
    """The package's own arithmetic in half precision: a loose comparison, for the files' sake."""
    global failed
    for dtype, most in HALVES.items():
        sae = load(dtype)
        out = run(sae, io["x"].to(dtype))[1].float()
        off = ((out - io["reconstruction"]).norm() / io["reconstruction"].norm()).item()
        failed |= not off < most
        print(f"{'OK' if off < most else 'NOT OK':7} {name:44} {str(dtype).split('.')[1]:13} reconstruction off by {100 * off:.2f}%")


for config in sorted(glob.glob(os.path.join(sys.argv[1], "*", "member_*", "cfg.json"))):
    folder = os.path.dirname(config)
    name = os.path.relpath(folder, sys.argv[1])
    sae = SAE.load_from_disk(folder)
    io = load_file(os.path.join(folder, "io.safetensors"))
    codes, out = run(sae, io["x"])
    check(name, type(sae).__name__, codes, out, io, sae.cfg.metadata.hook_name == hook_of(name))
    if folder.endswith("member_0"):
        check_halves(name, lambda dtype: SAE.load_from_disk(folder, dtype=str(dtype).split(".")[1]), io)

for config in sorted(glob.glob(os.path.join(sys.argv[1], "exports", "flat", "*", "cfg.json"))):
    folder = os.path.dirname(config)
    sae = SAE.load_from_disk(folder)
    io = load_file(os.path.join(folder, "io.safetensors"))
    codes, out = run(sae, io["x"])
    check(os.path.relpath(folder, sys.argv[1]), type(sae).__name__, codes, out, io)

for module in sorted(glob.glob(os.path.join(sys.argv[1], "exports", "python", "*", "ensemble_sae.py"))):
    folder = os.path.dirname(module)
    spec = importlib.util.spec_from_file_location("ensemble_sae", module)
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    sae = loaded.EnsembleSAE()
    io = load_file(os.path.join(folder, "io.safetensors"))
    with torch.no_grad():
        codes = sae.encode(io["x"])
        out = sae.decode(codes)
        same = torch.allclose(sae(io["x"]), out)
    shapes = sae.W_enc.shape == (sae.cfg.d_in, sae.cfg.d_sae) and sae.W_dec.shape == (sae.cfg.d_sae, sae.cfg.d_in)
    contract = shapes and sae.cfg.hook_name == hook_of(folder) and sae.cfg.hook_layer == 0 and sae.dtype == torch.float32
    check(os.path.relpath(folder, sys.argv[1]), type(sae).__name__, codes, out, io, same and contract)
    check_halves(os.path.relpath(folder, sys.argv[1]), lambda dtype: loaded.EnsembleSAE(dtype=dtype), io)
sys.exit(1 if failed else 0)
