# Loads every member folder below the given one with SAELens and compares its codes and reconstructions with io.safetensors beside it. Called by saeLens.ts.
import glob
import os
import sys

import torch
from safetensors.torch import load_file
from sae_lens import SAE

TOLERANCE = 1e-5
failed = False
for config in sorted(glob.glob(os.path.join(sys.argv[1], "*", "member_*", "cfg.json"))):
    folder = os.path.dirname(config)
    name = os.path.relpath(folder, sys.argv[1])
    sae = SAE.load_from_disk(folder)
    io = load_file(os.path.join(folder, "io.safetensors"))
    with torch.no_grad():
        codes = sae.encode(io["x"])
        out = sae.decode(codes)
    codes = codes.to_dense() if codes.is_sparse else codes
    # The same features must be active, not only near values.
    differing = ((codes > 0) != (io["codes"] > 0)).sum().item()
    code_error = (codes - io["codes"]).abs().max().item()
    out_error = (out - io["reconstruction"]).abs().max().item()
    l0 = (codes > 0).float().sum(-1).mean().item()
    metadata = sae.cfg.metadata
    ok = code_error < TOLERANCE and out_error < TOLERANCE and differing == 0 and l0 > 0 and metadata.hook_name == "blocks.0.hook_resid_post"
    failed |= not ok
    print(f"{'OK' if ok else 'NOT OK':7} {name:36} {type(sae).__name__:13} L0 {l0:5.2f}  codes {code_error:.1e}  reconstruction {out_error:.1e}")
sys.exit(1 if failed else 0)
