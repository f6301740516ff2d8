# Runs SAEBench's own evaluations (core, SCR, sparse probing) on exported ensembles, each through its Python module. Called by saeBench.ts, which says where everything lies; only where texts come from is changed, since no hub is asked.
import json
import os
import sys
from pathlib import Path

# jaxtyping's checks refuse numpy's booleans; they change no number.
os.environ.update(JAXTYPING_DISABLE="1", HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1", WANDB_MODE="disabled")
folder = Path(sys.argv[1])
task = json.loads((folder / "task.json").read_text())
os.environ["HF_DATASETS_CACHE"] = str(folder / "datasets")

import importlib.util
import pickle

sys.path.insert(0, str(Path(__file__).parents[2] / "bench" / "peers"))
import pandas as pd
import torch
from language_model import hugging_face, tokenizer_of, transformer_lens
from safetensors.torch import save_file
from sae_bench.evals.core import main as core
from sae_bench.evals.scr_and_tpp import dataset_creation
from sae_bench.evals.scr_and_tpp import main as scr_and_tpp
from sae_bench.evals.scr_and_tpp.eval_config import ScrAndTppEvalConfig
from sae_bench.evals.sparse_probing import main as sparse_probing
from sae_bench.evals.sparse_probing import probe_training
from sae_bench.evals.sparse_probing.eval_config import SparseProbingEvalConfig
from sae_bench.sae_bench_utils import dataset_info, dataset_utils
from sae_lens.training.activations_store import ActivationsStore
from transformer_lens import HookedTransformer

BIOS = "LabHC/bias_in_bios_class_set1"


def local_bios(name, *_, **__):
    """In place of load_dataset: the demo's biographies, as bias_in_bios has them."""
    assert name == "LabHC/bias_in_bios", name
    data = {}
    for part in ("train", "test"):
        rows = pd.read_json(task["bios"][part], lines=True)
        data[part] = pd.DataFrame(
            {
                "hard_text": rows.text,
                "profession": rows.profession.map(dataset_info.profession_dict),
                "gender": rows.gender.map(dataset_info.gender_dict),
            }
        )
    return data


dataset_creation.load_dataset = dataset_utils.load_dataset = local_bios

def local_model(name, **_):
    """In place of from_pretrained_no_processing, which knows the hub's models alone."""
    assert name == task["model"], name
    path = task["model_path"]
    return transformer_lens(hugging_face(path), tokenizer_of(path, task["bos_id"]), task["context_size"])


HookedTransformer.from_pretrained_no_processing = local_model

recorded = []
get_batch_tokens = ActivationsStore.get_batch_tokens


def recording(self, *args, **kwargs):
    tokens = get_batch_tokens(self, *args, **kwargs)
    recorded.append(tokens.int())
    return tokens


ActivationsStore.get_batch_tokens = recording


classes = {str(dataset_info.profession_dict[one]): one for one in task["sparse_probing"]["classes"]}
dataset_info.chosen_classes_per_dataset[BIOS] = list(classes)
drawn = {}
train_probe_on_activations = probe_training.train_probe_on_activations


def remembering(train, test, select_top_k=None, **kwargs):
    """Keeps the rows that were drawn for the probes of k features of an SAE."""
    prepare = probe_training.prepare_probe_data

    def prepared(activations, name, *more):
        x, labels = prepare(activations, name, *more)
        part = "test" if activations is test else "train"
        if select_top_k is not None and x.shape[1] > task["d_in"]:
            drawn[f"{select_top_k}.{classes[name]}.{part}.x"] = x
            drawn[f"{select_top_k}.{classes[name]}.{part}.labels"] = labels.float()
        return x, labels

    probe_training.prepare_probe_data = prepared
    try:
        return train_probe_on_activations(train, test, select_top_k, **kwargs)
    finally:
        probe_training.prepare_probe_data = prepare


probe_training.train_probe_on_activations = remembering


def exported(where):
    spec = importlib.util.spec_from_file_location("ensemble_sae", Path(where) / "ensemble_sae.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.EnsembleSAE()


answers = {}
for name, where in task["ensembles"].items():
    recorded.clear()
    results = core.multiple_evals(
        [(name, exported(where))],
        n_eval_reconstruction_batches=task["batches"],
        n_eval_sparsity_variance_batches=task["batches"],
        eval_batch_size_prompts=task["batch_size"],
        compute_featurewise_density_statistics=True,
        compute_featurewise_weight_based_metrics=True,
        exclude_special_tokens_from_reconstruction=True,
        dataset=task["texts"],
        context_size=task["context_size"],
        output_folder=str(folder / "core"),
        device="cpu",
    )
    assert len(results) == 1, "the core evaluation failed: see its message above"
    answers[name] = {"core": results[0]["metrics"], "density": results[0]["feature_metrics"]["feature_density"]}
    # Reconstruction batches first, then those of sparsity and variance.
    save_file({"tokens": torch.stack(recorded)}, folder / f"{name}.tokens.safetensors")

    config = ScrAndTppEvalConfig(
        model_name=task["model"],
        dataset_names=[BIOS],
        perform_scr=True,
        train_set_size=task["scr"]["train"],
        test_set_size=task["scr"]["test"],
        context_length=task["context_size"],
        n_values=task["scr"]["n_values"],
        column1_vals_lookup={BIOS: [tuple(task["scr"]["pair"])]},
    )
    config.llm_batch_size, config.llm_dtype = 64, "float32"
    artifacts = folder / "artifacts"
    results = scr_and_tpp.run_eval(
        config, [(name, exported(where))], "cpu", str(folder / "scr"), force_rerun=True, artifacts_path=str(artifacts)
    )
    (result,) = results.values()
    answers[name]["scr"] = result["eval_result_details"][0]

    config = SparseProbingEvalConfig(
        model_name=task["model"],
        dataset_names=[BIOS],
        probe_train_set_size=task["sparse_probing"]["train"],
        probe_test_set_size=task["sparse_probing"]["test"],
        context_length=task["context_size"],
        k_values=task["sparse_probing"]["k_values"],
    )
    config.llm_batch_size, config.llm_dtype = 64, "float32"
    drawn.clear()
    results = sparse_probing.run_eval(
        config, [(name, exported(where))], "cpu", str(folder / "probing"), force_rerun=True, artifacts_path=str(artifacts)
    )
    (result,) = results.values()
    answers[name]["sparse_probing"] = result["eval_result_metrics"]["sae"]
    save_file(drawn, folder / f"{name}.probing.safetensors")

(folder / "answers.json").write_text(json.dumps(answers))
# What SCR was computed from, once for all ensembles: every token's activations (zeros for what is masked) and the probes.
saved = next((folder / "artifacts" / "scr").rglob("*_activations.pt"))
acts = torch.load(saved)
with open(str(saved).replace("_activations.pt", "_probes.pkl"), "rb") as file:
    probes = pickle.load(file)["llm_probes"]
tensors = {f"{part}.{key}": x.contiguous() for part, sets in acts.items() for key, x in sets.items()}
for key, probe in probes.items():
    tensors[f"{key}.w"], tensors[f"{key}.b"] = probe.net.weight.data[0].contiguous(), probe.net.bias.data
save_file(tensors, folder / "scr.safetensors")
