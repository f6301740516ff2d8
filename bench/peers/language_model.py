# Language models of the Llama family from a GGUF file for the peers: transformers' own, and TransformerLens' with the same weights, both offline.
import os

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))


def hugging_face(path):
    folder, name = os.path.split(path)
    model = AutoModelForCausalLM.from_pretrained(folder, gguf_file=name, dtype=torch.float32)
    return model.eval()


def tokenizer_of(path, bos_id):
    folder, name = os.path.split(path)
    tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=name)
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
