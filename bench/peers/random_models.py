# A language model of each family with random weights, in the form in which the hub has them: wide enough that arithmetic counts, of few layers so that it is made in seconds.
import contextlib
import json
import os

import torch
from transformers import AutoConfig, AutoModelForCausalLM

LAYERS = 4
VOCABULARY = 4096
CONTEXT = 1024

# Widths of GPT-2, Pythia-160M, Qwen2-0.5B, Qwen3-0.6B; the others as large, with the family's proportions.
CONFIGS = {
    "gpt2": dict(n_embd=768, n_head=12, n_layer=LAYERS, n_positions=CONTEXT, n_ctx=CONTEXT),
    "gpt_neox": dict(hidden_size=768, intermediate_size=3072, num_attention_heads=12, rotary_pct=0.25),
    "llama": dict(hidden_size=960, intermediate_size=2560, num_attention_heads=15, num_key_value_heads=5),
    "mistral": dict(hidden_size=1024, intermediate_size=3584, num_attention_heads=16, num_key_value_heads=4, head_dim=64, sliding_window=CONTEXT),
    "qwen2": dict(hidden_size=896, intermediate_size=4864, num_attention_heads=14, num_key_value_heads=2),
    "qwen3": dict(hidden_size=1024, intermediate_size=3072, num_attention_heads=16, num_key_value_heads=8, head_dim=128),
    "gemma2": dict(hidden_size=1152, intermediate_size=4608, num_attention_heads=4, num_key_value_heads=2, head_dim=256, query_pre_attn_scalar=256, sliding_window=CONTEXT // 2),
}

GELU_1L = dict(n_layers=1, d_model=512, d_mlp=2048, d_head=64, n_heads=8, n_ctx=CONTEXT, d_vocab=VOCABULARY, act_fn="gelu", attn_only=False, final_rms=False, normalization="LN", shortformer_pos=False)


def write_model(family, folder):
    """The folder, unless it is there; the families that the hub has in bfloat16 are in it here too."""
    if os.path.exists(os.path.join(folder, "tokenizer.json")):
        return
    os.makedirs(folder, exist_ok=True)
    torch.manual_seed(1)
    if family == "gelu-1l":
        with open(os.path.join(folder, "config.json"), "w") as file:
            json.dump(GELU_1L, file)
        torch.save(gelu_1l_weights(), os.path.join(folder, "model_final.pth"))
    else:
        layers = {} if family == "gpt2" else dict(num_hidden_layers=LAYERS, max_position_embeddings=CONTEXT)
        model = AutoModelForCausalLM.from_config(AutoConfig.for_model(family, vocab_size=VOCABULARY, bos_token_id=0, eos_token_id=0, **layers, **CONFIGS[family]))
        narrow = family not in ("gpt2", "gpt_neox")
        model.to(torch.bfloat16 if narrow else torch.float32).save_pretrained(folder)
    with open(os.path.join(folder, "tokenizer.json"), "w") as file:
        json.dump(tokenizer(), file)


def gelu_1l_weights():
    c = GELU_1L
    d, heads, width, inner, vocabulary = c["d_model"], c["n_heads"], c["d_head"], c["d_mlp"], c["d_vocab"]
    shapes = {"embed.W_E": (vocabulary, d), "pos_embed.W_pos": (c["n_ctx"], d), "unembed.W_U": (d, vocabulary), "unembed.b_U": (vocabulary,)}
    shapes |= {f"blocks.0.attn.W_{kind}": (heads, d, width) for kind in "QKV"} | {f"blocks.0.attn.b_{kind}": (heads, width) for kind in "QKV"}
    shapes |= {"blocks.0.attn.W_O": (heads, width, d), "blocks.0.attn.b_O": (d,)}
    shapes |= {"blocks.0.mlp.W_in": (d, inner), "blocks.0.mlp.b_in": (inner,), "blocks.0.mlp.W_out": (inner, d), "blocks.0.mlp.b_out": (d,)}
    weights = {name: torch.randn(shape) * 0.02 for name, shape in shapes.items()}
    for norm in ("blocks.0.ln1", "blocks.0.ln2", "ln_final"):
        weights |= {f"{norm}.w": torch.ones(d), f"{norm}.b": torch.zeros(d)}
    return weights


def tokenizer():
    """Of letters; the bench gives ids and no texts."""
    vocabulary = {"<s>": 0} | {chr(ord("a") + i): 1 + i for i in range(26)}
    special = dict(id=0, content="<s>", single_word=False, lstrip=False, rstrip=False, normalized=False, special=True)
    model = dict(type="BPE", dropout=None, unk_token="<s>", continuing_subword_prefix=None, end_of_word_suffix=None, fuse_unk=False, byte_fallback=False, vocab=vocabulary, merges=[])
    decoder = pre_tokenizer = dict(type="ByteLevel", add_prefix_space=False, trim_offsets=True, use_regex=True)
    return dict(version="1.0", truncation=None, padding=None, added_tokens=[special], normalizer=None, pre_tokenizer=pre_tokenizer, post_processor=None, decoder=decoder, model=model)


def hugging_face_folder(folder):
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()


def transformer_lens_folder(folder):
    """A HookedTransformer with the weights as they are: nothing folded, nothing centred."""
    from transformer_lens import HookedTransformer, HookedTransformerConfig
    from transformer_lens.loading_from_pretrained import get_pretrained_model_config, get_pretrained_state_dict

    with open(os.path.join(folder, "config.json")) as file:
        c = json.load(file)
    if "n_layers" in c:
        kept = {key: c[key] for key in ("n_layers", "d_model", "d_mlp", "d_head", "n_heads", "n_ctx", "d_vocab", "act_fn")}
        config = HookedTransformerConfig(**kept, normalization_type="LN", device="cpu")
        weights = torch.load(os.path.join(folder, "model_final.pth"))
    elif c["model_type"] == "gemma2":
        config = gemma2_config(c)
        weights = get_pretrained_state_dict(folder, config, hugging_face_folder(folder))
    else:
        # By ".", since a name with "llama" in it counts as one of Meta's models.
        with contextlib.chdir(folder):
            config = get_pretrained_model_config(".", device="cpu", n_ctx=CONTEXT)
        config.tokenizer_name = None
        weights = get_pretrained_state_dict(folder, config, hugging_face_folder(folder))
    model = HookedTransformer(config)
    model.load_and_process_state_dict(weights, fold_ln=False, center_writing_weights=False, center_unembed=False, fold_value_biases=False)
    return model.eval()


def gemma2_config(c):
    """TransformerLens knows Gemma-2 by the names of its three sizes only; this is what it has for those."""
    from transformer_lens import HookedTransformerConfig

    return HookedTransformerConfig(
        d_model=c["hidden_size"],
        d_head=c["head_dim"],
        n_heads=c["num_attention_heads"],
        n_key_value_heads=c["num_key_value_heads"],
        d_mlp=c["intermediate_size"],
        n_layers=c["num_hidden_layers"],
        n_ctx=CONTEXT,
        eps=c["rms_norm_eps"],
        d_vocab=c["vocab_size"],
        act_fn="gelu_pytorch_tanh",
        normalization_type="RMS",
        rotary_base=10000,
        rotary_dim=c["head_dim"],
        positional_embedding_type="rotary",
        attn_scale=c["query_pre_attn_scalar"] ** 0.5,
        window_size=c["sliding_window"],
        use_local_attn=True,
        attn_types=["local", "global"] * (c["num_hidden_layers"] // 2),
        attn_scores_soft_cap=c["attn_logit_softcapping"],
        output_logits_soft_cap=c["final_logit_softcapping"],
        gated_mlp=True,
        final_rms=True,
        use_normalization_before_and_after=True,
        original_architecture="Gemma2ForCausalLM",
        device="cpu",
    )
