# SCR by SAEBench's own functions on given activations and probes, and its pooled codes; texts padded with zeros, as its eval does.
import os

os.environ["JAXTYPING_DISABLE"] = "1"
import time

import torch
from protocol import serve
from sae_bench.evals.scr_and_tpp import main as scr_and_tpp
from sae_bench.evals.sparse_probing.probe_training import Probe
from sae_bench.sae_bench_utils import activation_collection, dataset_info
from sae_lens import SAE
from safetensors.torch import load_file

SAE_BATCH = 16
PROBE_BATCH = 16
state = {}


def prepare(sae, data):
    tensors = load_file(data)
    state.update(sae=SAE.load_from_disk(sae, device="cpu"), acts={})
    for part in ("train", "test"):
        x, y, a = (tensors[f"{part}.{name}"] for name in ("x", "labels", "attributes"))
        sets = {
            "male / female": (a == 1, a == 0),
            "professor / nurse": (y == 1, y == 0),
            "male_professor / female_nurse": ((a == 1) & (y == 1), (a == 0) & (y == 0)),
        }
        state["acts"][part] = {}
        for name, (positive, negative) in sets.items():
            state["acts"][part][name] = x[positive]
            state["acts"][part][dataset_info.PAIRED_CLASS_KEYS[name]] = x[negative]
    state["all"] = torch.cat([tensors["train.x"], tensors["test.x"]])
    state["probes"] = {}
    for name, key in (("male / female", "spurious"), ("professor / nurse", "desired"), ("male_professor / female_nurse", "biased")):
        probe = Probe(tensors[f"{key}.w"].shape[0], torch.float32)
        probe.net.weight.data = tensors[f"{key}.w"].float()[None]
        probe.net.bias.data = tensors[f"{key}.b"].float()
        state["probes"][name] = probe
    return {"torch": torch.__version__}


@torch.no_grad()
def pool():
    start = time.perf_counter()
    codes = activation_collection.get_sae_meaned_activations({"all": state["all"]}, state["sae"], SAE_BATCH)
    return {"seconds": time.perf_counter() - start, "texts": len(state["all"]), "sum": codes["all"].double().sum().item()}


@torch.no_grad()
def scr(n_values):
    probes, sae, acts = state["probes"], state["sae"], state["acts"]
    names = list(probes)
    start = time.perf_counter()
    effects = {
        name: scr_and_tpp.get_effects_per_class_precomputed_acts(sae, probes[name], name, acts["train"], True, SAE_BATCH)
        for name in names
    }
    pooled = {name: activation_collection.create_meaned_model_activations({name: x})[name] for name, x in acts["test"].items()}
    clean = scr_and_tpp.get_probe_test_accuracy(probes, names, pooled, PROBE_BATCH, True)
    ablated = scr_and_tpp.perform_feature_ablations(
        probes, sae, SAE_BATCH, acts["test"], effects, n_values, names, PROBE_BATCH, True
    )
    scores = scr_and_tpp.get_scr_plotting_dict(ablated, clean)
    return {"seconds": time.perf_counter() - start, "scores": scores}


serve({"prepare": prepare, "pool": pool, "scr": scr})
