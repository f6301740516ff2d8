# Language models of the Llama family from a GGUF file or a folder for the peers: transformers' own, and TransformerLens' with the same weights, both offline.
import os

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", torch.get_num_threads())))


def arguments(path):
    """A folder as transformers writes it, or a GGUF file."""
    if os.path.isdir(path):
        return (path,), {}
    folder, name = os.path.split(path)
    return (folder,), {"gguf_file": name}


def hugging_face(path):
    place, more = arguments(path)
    return AutoModelForCausalLM.from_pretrained(*place, **more, dtype=torch.float32).eval()


def tokenizer_of(path, bos_id):
    place, more = arguments(path)
    tokenizer = AutoTokenizer.from_pretrained(*place, **more)
    tokenizer.bos_token = tokenizer.convert_ids_to_tokens(bos_id)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def transformer_lens(model, tokenizer=None, context=1024, kind=None):
    """A HookedTransformer (or a class of its kind) with the weights as they are: nothing folded, nothing centred."""
    from transformer_lens import HookedTransformer, HookedTransformerConfig
    from transformer_lens.pretrained.weight_conversions import convert_llama_weights

    c = model.config
    rope = getattr(c, "rope_theta", None) or c.rope_parameters["rope_theta"]
    head = c.hidden_size // c.num_attention_heads
    config = HookedTransformerConfig(
        n_layers=c.num_hidden_layers,
        d_model=c.hidden_size,
        n_heads=c.num_attention_heads,
        n_key_value_heads=c.num_key_value_heads,
        d_head=head,
        d_mlp=c.intermediate_size,
        d_vocab=c.vocab_size,
        n_ctx=context,
        act_fn="silu",
        gated_mlp=True,
        normalization_type="RMS",
        positional_embedding_type="rotary",
        rotary_adjacent_pairs=False,
        rotary_dim=head,
        rotary_base=int(rope),
        eps=c.rms_norm_eps,
        final_rms=True,
        original_architecture="LlamaForCausalLM",
        model_name="SmolLM2-135M",
        device="cpu",
        dtype=torch.float32,
        default_prepend_bos=True,
    )
    hooked = (kind or HookedTransformer)(config, tokenizer=tokenizer)
    hooked.load_and_process_state_dict(
        convert_llama_weights(model, config),
        fold_ln=False,
        center_writing_weights=False,
        center_unembed=False,
        fold_value_biases=False,
    )
    return hooked.eval()
