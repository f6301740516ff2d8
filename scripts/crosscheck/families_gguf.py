# A GGUF file of a tiny model, as llama.cpp's converter would make it: names, writer and quantisation are llama.cpp's own `gguf` package, the layouts follow its convert_hf_to_gguf.py.
import json
import os

import gguf
import numpy as np
import torch
from gguf import GGMLQuantizationType as Kind

ARCHITECTURES = dict(
    llama=gguf.MODEL_ARCH.LLAMA,
    mistral=gguf.MODEL_ARCH.LLAMA,
    qwen2=gguf.MODEL_ARCH.QWEN2,
    qwen3=gguf.MODEL_ARCH.QWEN3,
    gemma2=gguf.MODEL_ARCH.GEMMA2,
    gpt2=gguf.MODEL_ARCH.GPT2,
    gpt_neox=gguf.MODEL_ARCH.GPTNEOX,
)
KINDS = [Kind.F32, Kind.F16, Kind.BF16, Kind.Q8_0, Kind.Q4_0, Kind.Q4_1, Kind.Q5_0, Kind.Q5_1]


def expressible(c, family):
    """Whether the file's metadata can say what the configuration says; llama.cpp takes the rest for granted."""
    rope = getattr(c, "rope_parameters", None) or {}
    if rope.get("rope_type", "default") not in ("default", "linear", "llama3", "yarn"):
        return False
    if rope.get("rope_type") == "yarn" and set(rope) & {"beta_fast", "attention_factor", "mscale", "truncate"}:
        return False
    if family == "gpt2":
        return c.activation_function == "gelu_new" and c.scale_attn_weights and not c.scale_attn_by_inverse_layer_idx
    if family == "gpt_neox":
        return c.hidden_act == "gelu" and rope.get("rope_type") == "default" and c.attention_bias
    if family == "gemma2":
        caps = c.attn_logit_softcapping and c.final_logit_softcapping
        return bool(caps) and c.tie_word_embeddings and c.query_pre_attn_scalar == c.head_dim and not c.attention_bias
    window = family == "mistral" and c.sliding_window is not None and c.sliding_window < c.max_position_embeddings
    sliding = family in ("qwen2", "qwen3") and c.use_sliding_window
    return c.hidden_act == "silu" and not window and not sliding and not (family == "qwen3" and c.attention_bias)


def neighbours(weight, heads):
    """Rows i and i + width/2 of a head become neighbours (LlamaModel.permute)."""
    return weight.reshape(heads, 2, weight.shape[0] // heads // 2, *weight.shape[1:]).swapaxes(1, 2).reshape(weight.shape)


def by_kind(weight, heads):
    """Each head's queries, keys, values become all queries, all keys, all values (GPTNeoXModel)."""
    return weight.reshape(heads, 3, -1, *weight.shape[1:]).swapaxes(0, 1).reshape(weight.shape)


def back_by_kind(weight, heads):
    return weight.reshape(3, heads, -1, *weight.shape[1:]).swapaxes(0, 1).reshape(weight.shape)


def back_neighbours(weight, heads):
    return weight.reshape(heads, weight.shape[0] // heads // 2, 2, *weight.shape[1:]).swapaxes(1, 2).reshape(weight.shape)


def layouts(name, c, family):
    """To the file's layout and back."""
    same = lambda w: w
    if family in ("llama", "mistral") and ("q_proj" in name or "k_proj" in name):
        heads = c.num_attention_heads if "q_proj" in name else c.num_key_value_heads
        return (lambda w: neighbours(w, heads)), (lambda w: back_neighbours(w, heads))
    if family == "gemma2" and name.endswith("norm.weight"):
        return (lambda w: w + 1), (lambda w: w - 1)
    if family == "gpt2" and name.endswith((".c_attn.weight", ".c_proj.weight", ".c_fc.weight")):
        return (lambda w: w.T), (lambda w: w.T)
    if family == "gpt_neox" and "query_key_value" in name:
        return (lambda w: by_kind(w, c.num_attention_heads)), (lambda w: back_by_kind(w, c.num_attention_heads))
    return same, same


def write_gguf(folder, model, family, rng):
    """Writes model.gguf. The state dict with the values that the file holds, and its kinds; None where a file can't say what the configuration does."""
    c = model.config
    if not expressible(c, family):
        return None
    architecture = ARCHITECTURES[family]
    writer = gguf.GGUFWriter(os.path.join(folder, "model.gguf"), gguf.MODEL_ARCH_NAMES[architecture])
    layers = c.num_hidden_layers
    names = gguf.get_tensor_name_map(architecture, layers)
    metadata(writer, c, family)
    with open(os.path.join(folder, "tokenizer.json")) as file:
        add_tokenizer(writer, json.load(file), family, c.vocab_size)
    weights, kinds = {}, set()
    tied = c.tie_word_embeddings
    for name, tensor in model.state_dict().items():
        if name == "lm_head.weight" and tied:
            continue
        to, back = layouts(name, c, family)
        values = np.ascontiguousarray(to(tensor.float().numpy()))
        # transformers 5 gives GPT-NeoX's output layer the others' name; the converter knows it by the files'.
        source = name.replace("lm_head", "embed_out") if family == "gpt_neox" else name
        target = names.get_name(source, try_suffixes=(".weight", ".bias"))
        if target is None:
            raise ValueError(f"gguf has no name for {source}")
        kind = rng.choice(KINDS) if values.ndim == 2 and "embd" not in target else Kind.F32
        if values.shape[-1] % gguf.GGML_QUANT_SIZES[kind][0] != 0:
            kind = Kind.F16
        raw = gguf.quants.quantize(values, kind)
        writer.add_tensor(target, raw, raw_dtype=kind)
        kinds.add(kind.name)
        held = gguf.quants.dequantize(raw, kind).astype(np.float32).reshape(values.shape)
        weights[name] = torch.from_numpy(np.ascontiguousarray(back(held)))
    if tied:
        embedding = next(name for name in weights if name.endswith(("embed_tokens.weight", "wte.weight", "embed_in.weight")))
        weights["lm_head.weight"] = weights[embedding]
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return weights, sorted(kinds)


def metadata(writer, c, family):
    heads = c.num_attention_heads
    writer.add_block_count(c.num_hidden_layers)
    writer.add_context_length(c.max_position_embeddings)
    writer.add_embedding_length(c.hidden_size)
    writer.add_head_count(heads)
    if family == "gpt2":
        writer.add_feed_forward_length(c.n_inner or 4 * c.n_embd)
        writer.add_layer_norm_eps(c.layer_norm_epsilon)
        return
    writer.add_feed_forward_length(c.intermediate_size)
    rope = c.rope_parameters
    if family == "gpt_neox":
        writer.add_rope_dimension_count(int(rope["partial_rotary_factor"] * (c.hidden_size // heads)))
        writer.add_parallel_residual(c.use_parallel_residual)
        writer.add_layer_norm_eps(c.layer_norm_eps)
        return
    width = getattr(c, "head_dim", None) or c.hidden_size // heads
    writer.add_head_count_kv(c.num_key_value_heads)
    writer.add_layer_norm_rms_eps(c.rms_norm_eps)
    writer.add_rope_freq_base(rope["rope_theta"])
    writer.add_vocab_size(c.vocab_size)
    if family in ("llama", "mistral"):
        writer.add_rope_dimension_count(width)
    if width != c.hidden_size // heads or family in ("qwen3", "gemma2"):
        writer.add_key_length(width)
        writer.add_value_length(width)
    if family == "gemma2":
        writer.add_attn_logit_softcapping(c.attn_logit_softcapping)
        writer.add_final_logit_softcapping(c.final_logit_softcapping)
        writer.add_sliding_window(c.sliding_window)
    kind = rope["rope_type"]
    if kind in ("linear", "yarn"):
        writer.add_rope_scaling_type(gguf.RopeScalingType(kind))
        writer.add_rope_scaling_factor(rope["factor"])
    if kind == "yarn":
        writer.add_rope_scaling_orig_ctx_len(rope["original_max_position_embeddings"])
    if kind == "llama3":
        writer.add_tensor("rope_freqs.weight", llama3_factors(rope, width))


def llama3_factors(rope, width):
    """What every frequency is divided by (LlamaModel.generate_extra_tensors)."""
    factor, low, high, context = (rope[key] for key in ("factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings"))
    factors = []
    for frequency in 1.0 / rope["rope_theta"] ** (np.arange(0, width, 2, dtype=np.float32) / width):
        wavelength = 2 * np.pi / frequency
        if wavelength < context / high:
            factors.append(1)
        elif wavelength > context / low:
            factors.append(factor)
        else:
            smooth = (context / wavelength - low) / (high - low)
            factors.append(1 / ((1 - smooth) / factor + smooth))
    return np.array(factors, dtype=np.float32)


# Names that the converter finds by hashing what a tokenizer makes of a text; these tokenizers are small ones of the same kinds.
PRE_TOKENIZERS = dict(gpt2="gpt-2", gpt_neox="olmo", qwen2="qwen2", qwen3="qwen2")


def add_tokenizer(writer, tokenizer, family, size):
    model, added = tokenizer["model"], {token["id"]: token for token in tokenizer["added_tokens"]}
    vocabulary = {id: token for token, id in model["vocab"].items()} | {id: token["content"] for id, token in added.items()}
    tokens, types = [], []
    for id in range(size):
        token = vocabulary.get(id)
        tokens.append(f"[PAD{id}]" if token is None else token)
        if token is None:
            types.append(gguf.TokenType.UNUSED)
        elif id in added and token == model.get("unk_token"):
            types.append(gguf.TokenType.UNKNOWN)
        elif id in added:
            types.append(gguf.TokenType.CONTROL if added[id]["special"] else gguf.TokenType.USER_DEFINED)
        elif token.startswith("<0x") and len(token) == 6:
            types.append(gguf.TokenType.BYTE)
        else:
            types.append(gguf.TokenType.NORMAL)
    merges = [merge.split(" ") if isinstance(merge, str) else merge for merge in model["merges"]]
    bytewise = family in PRE_TOKENIZERS
    writer.add_tokenizer_model("gpt2" if bytewise else "llama")
    if bytewise:
        writer.add_tokenizer_pre(PRE_TOKENIZERS[family])
    writer.add_token_list(tokens)
    if bytewise:
        writer.add_token_types(types)
        writer.add_token_merges([" ".join(merge) for merge in merges])
    else:
        # SentencePiece's scores: the sooner a union is merged, the higher.
        rank = {"".join(merge): -float(i) for i, merge in reversed(list(enumerate(merges)))}
        writer.add_token_scores([rank.get(token, 0.0) for token in tokens])
        writer.add_token_types(types)
        if family == "gemma2":
            writer.add_add_space_prefix(False)
    ids = {token["content"]: id for id, token in added.items()}
    for name, add in (("<s>", writer.add_bos_token_id), ("</s>", writer.add_eos_token_id), ("<bos>", writer.add_bos_token_id), ("<eos>", writer.add_eos_token_id), ("<|endoftext|>", writer.add_eos_token_id)):
        if name in ids:
            add(ids[name])
