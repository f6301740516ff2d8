# Makes tiny language models of every family, each with another configuration, and what transformers computes with them: logits and every hook. Also GGUF files of the same weights, written by llama.cpp's own package. Called by families.ts.
import json
import os
import random
import sys

import torch
from families_gguf import write_gguf
from safetensors.torch import save_file
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

ROWS, CONTEXT = 3, 512


def rope(rng, theta=10000.0):
    context = rng.choice([8, 16])
    kinds = {
        "default": dict(rope_type="default"),
        "linear": dict(rope_type="linear", factor=2.5),
        "dynamic": dict(rope_type="dynamic", factor=2.0),
        "llama3": dict(rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=context),
        "yarn": dict(rope_type="yarn", factor=4.0, original_max_position_embeddings=context),
        "yarn-all": dict(rope_type="yarn", factor=3.0, original_max_position_embeddings=context, beta_fast=8.0, beta_slow=2.0, truncate=False, mscale=0.7, mscale_all_dim=1.1),
        "yarn-factor": dict(rope_type="yarn", factor=4.0, original_max_position_embeddings=context, attention_factor=1.3),
    }
    return dict(kinds[rng.choice(list(kinds))], rope_theta=theta)


def rms(rng):
    heads, kv = rng.choice([(4, 2), (4, 1), (3, 3), (6, 2)])
    width = rng.choice([8, 12, 16, 20])
    hidden = heads * 8
    return dict(
        hidden_size=hidden,
        intermediate_size=rng.choice([48, 80]),
        num_hidden_layers=rng.choice([1, 2, 3]),
        num_attention_heads=heads,
        num_key_value_heads=kv,
        head_dim=width,
        max_position_embeddings=CONTEXT,
        rms_norm_eps=rng.choice([1e-6, 1e-5, 1e-3]),
        tie_word_embeddings=rng.random() < 0.5,
        rope_parameters=rope(rng, rng.choice([10000.0, 500000.0])),
    )


def llama(rng):
    return rms(rng) | dict(attention_bias=rng.random() < 0.4, mlp_bias=rng.random() < 0.4, hidden_act=rng.choice(["silu", "gelu", "gelu_pytorch_tanh", "relu"]))


def mistral(rng):
    return rms(rng) | dict(sliding_window=rng.choice([None, 1, 5, 200]))


def qwen2(rng):
    c = rms(rng)
    c["head_dim"] = 8
    slide = rng.random() < 0.5
    return c | dict(use_sliding_window=slide, sliding_window=6 if slide else None, max_window_layers=rng.choice([0, 1, 2]))


def qwen3(rng):
    slide = rng.random() < 0.5
    return rms(rng) | dict(use_sliding_window=slide, sliding_window=6 if slide else None, max_window_layers=rng.choice([0, 1, 2]), attention_bias=rng.random() < 0.4)


def gemma2(rng):
    return rms(rng) | dict(
        sliding_window=rng.choice([4, 9, 200]),
        query_pre_attn_scalar=rng.choice([8, 24]),
        attn_logit_softcapping=rng.choice([None, 2.0, 50.0]),
        final_logit_softcapping=rng.choice([None, 5.0, 30.0]),
        attention_bias=rng.random() < 0.3,
        hidden_activation="gelu_pytorch_tanh",
    )


def gpt2(rng):
    heads = rng.choice([2, 3, 4])
    return dict(
        n_embd=heads * rng.choice([8, 12]),
        n_head=heads,
        n_layer=rng.choice([1, 2, 3]),
        n_positions=CONTEXT,
        n_inner=rng.choice([None, 40]),
        activation_function=rng.choice(["gelu_new", "gelu", "relu", "silu", "quick_gelu", "gelu_fast"]),
        layer_norm_epsilon=rng.choice([1e-5, 1e-3]),
        scale_attn_weights=rng.random() < 0.7,
        scale_attn_by_inverse_layer_idx=rng.random() < 0.3,
        tie_word_embeddings=rng.random() < 0.7,
    )


def gpt_neox(rng):
    heads = rng.choice([2, 3])
    parameters = rope(rng)
    parameters["partial_rotary_factor"] = rng.choice([0.25, 0.5, 1.0])
    return dict(
        hidden_size=heads * 16,
        intermediate_size=rng.choice([48, 128]),
        num_hidden_layers=rng.choice([1, 2, 3]),
        num_attention_heads=heads,
        max_position_embeddings=CONTEXT,
        hidden_act=rng.choice(["gelu", "gelu_new", "relu"]),
        layer_norm_eps=rng.choice([1e-5, 1e-3]),
        use_parallel_residual=rng.random() < 0.6,
        attention_bias=rng.random() < 0.7,
        tie_word_embeddings=rng.random() < 0.3,
        rope_parameters=parameters,
    )


FAMILIES = dict(llama=llama, mistral=mistral, qwen2=qwen2, qwen3=qwen3, gemma2=gemma2, gpt2=gpt2, gpt_neox=gpt_neox)


# What brings a configuration within what GGUF files can say.
PLAIN = dict(
    llama=dict(hidden_act="silu"),
    mistral=dict(sliding_window=None),
    qwen2=dict(use_sliding_window=False, sliding_window=None),
    qwen3=dict(use_sliding_window=False, sliding_window=None, attention_bias=False),
    gemma2=dict(query_pre_attn_scalar=16, head_dim=16, attn_logit_softcapping=2.0, final_logit_softcapping=5.0, attention_bias=False, tie_word_embeddings=True),
    gpt2=dict(activation_function="gelu_new", scale_attn_weights=True, scale_attn_by_inverse_layer_idx=False),
    gpt_neox=dict(hidden_act="gelu", attention_bias=True),
)


def randomised(model, family):
    """Weights that let every part matter: what random models are born with leaves biases 0, norms 1 and scores flat."""
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.dim() > 1:
                fan_in = weight.shape[0] if family == "gpt2" and "h." in name else weight.shape[1]
                weight.normal_(0, 1 if "embed" in name or "wte" in name or "wpe" in name else 1.3 * fan_in**-0.5)
            elif "bias" in name:
                weight.normal_(0, 0.3)
            else:
                weight.normal_(0 if family == "gemma2" else 1, 0.2)
    return model


def hooks(model, family, ids, mask):
    """Logits and the hooks of every layer by TransformerLens' names, from transformers' own modules."""
    base = model.base_model
    layers = base.h if family == "gpt2" else base.layers
    found, handles = {}, []

    def keep(module, name, which="output"):
        def after(_, inputs, kwargs, output):
            value = output if which == "output" else (inputs[0] if inputs else kwargs["hidden_states"])
            found[name] = (value[0] if isinstance(value, tuple) else value).detach().clone()

        handles.append(module.register_forward_hook(after, with_kwargs=True))

    parallel = family == "gpt_neox" and model.config.use_parallel_residual
    for i, layer in enumerate(layers):
        at = lambda hook: f"blocks.{i}.{hook}"
        attention = layer.attn if family == "gpt2" else layer.attention if family == "gpt_neox" else layer.self_attn
        keep(layer, at("hook_resid_pre"), "input")
        keep(layer, at("hook_resid_post"))
        mixed = attention.c_proj if family == "gpt2" else attention.dense if family == "gpt_neox" else attention.o_proj
        inner = layer.mlp.c_proj if family == "gpt2" else layer.mlp.dense_4h_to_h if family == "gpt_neox" else layer.mlp.down_proj
        keep(mixed, at("attn.hook_z"), "input")
        keep(inner, at("mlp.hook_post"), "input")
        keep(layer.post_attention_layernorm if family == "gemma2" else attention, at("hook_attn_out"))
        keep(layer.post_feedforward_layernorm if family == "gemma2" else layer.mlp, at("hook_mlp_out"))
        if not parallel:
            before = layer.ln_2 if family == "gpt2" else layer.pre_feedforward_layernorm if family == "gemma2" else layer.post_attention_layernorm
            keep(before, at("hook_resid_mid"), "input")
    with torch.inference_mode():
        found["logits"] = model(input_ids=ids, attention_mask=mask, use_cache=False).logits
    for handle in handles:
        handle.remove()
    return {name: value.float().contiguous() for name, value in found.items()}


def old_form(folder, family):
    """config.json as the hub has it: names of before transformers 5."""
    path = os.path.join(folder, "config.json")
    with open(path) as file:
        config = json.load(file)
    parameters = config.pop("rope_parameters", None)
    if parameters:
        theta = parameters.pop("rope_theta")
        share = parameters.pop("partial_rotary_factor", None)
        if family == "gpt_neox":
            config |= dict(rotary_emb_base=theta, rotary_pct=share)
        else:
            config["rope_theta"] = theta
        if parameters["rope_type"] != "default":
            config["rope_scaling"] = dict(parameters, type=parameters.pop("rope_type"))
    config.pop("layer_types", None)
    with open(path, "w") as file:
        json.dump(config, file)


def make(folder, tokenizers, number, seed):
    rng = random.Random(f"{seed}.{number}")
    torch.manual_seed(rng.randrange(2**31))
    family = list(FAMILIES)[number % len(FAMILIES)]
    # Mistral's of today puts no "▁" before a text that begins with a space; SentencePiece, and GGUF files, do as Llama's.
    tokenizer = os.path.join(tokenizers, "llama" if family == "mistral" else family)
    vocabulary = len(AutoTokenizer.from_pretrained(tokenizer)) + rng.choice([0, 13])
    settings = FAMILIES[family](rng)
    if rng.random() < 0.5:
        settings |= PLAIN[family]
        if family == "gpt_neox":
            settings["rope_parameters"] = dict(rope_type="default", rope_theta=10000.0, partial_rotary_factor=0.25)
    config = AutoConfig.for_model(family, vocab_size=vocabulary, bos_token_id=1, eos_token_id=2, **settings)
    model = randomised(AutoModelForCausalLM.from_config(config, attn_implementation="eager"), family)
    dtype = rng.choice([torch.float32, torch.bfloat16, torch.float16])
    model = model.to(dtype)
    os.makedirs(folder)
    model.save_pretrained(folder, max_shard_size=rng.choice(["20KB", "1GB"]))
    old = rng.random() < 0.5
    if old:
        old_form(folder, family)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        with open(os.path.join(tokenizer, name)) as source, open(os.path.join(folder, name), "w") as target:
            target.write(source.read())
    # Read back, so that the reference is of what the files say and not of what was meant.
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    length = rng.choice([24, 24, 300])
    ids = torch.randint(0, vocabulary, (ROWS, length))
    lengths = torch.tensor([length, rng.randint(2, length), 1])
    mask = (torch.arange(length)[None] < lengths[:, None]).long()
    save_file({"input_ids": ids, "attention_mask": mask, **hooks(model, family, ids, mask)}, os.path.join(folder, "reference.safetensors"))
    text = {key: value for key, value in settings.items() if value is not None}
    gguf = write_gguf(folder, model, family, rng)
    if gguf:
        weights, quantised = gguf
        model.load_state_dict(weights)
        save_file({"input_ids": ids, "attention_mask": mask, **hooks(model, family, ids, mask)}, os.path.join(folder, "reference.gguf.safetensors"))
    with open(os.path.join(folder, "case.json"), "w") as file:
        json.dump(dict(family=family, dtype=str(dtype)[6:], form="old" if old else "new", gguf=gguf and quantised, settings=text), file)


if __name__ == "__main__":
    _, folder, tokenizers, seed, count = sys.argv
    torch.set_num_threads(1)
    for number in range(int(count)):
        make(os.path.join(folder, str(number)), tokenizers, number, seed)
