"""Modules that every layer of the best-known classes has, by the model type of their config.

Config.json says no list of modules; its model type names the code that does. The facts are those of
modeling_*.py in transformers 5.23. A type that is not here is understood by its own layers alone.
"""

from __future__ import annotations

_BLOCK = "input_layernorm post_attention_layernorm self_attn.o_proj "
_QKV = _BLOCK + "self_attn.q_proj self_attn.k_proj self_attn.v_proj "
_MLP = "mlp.gate_proj mlp.up_proj mlp.down_proj "
_SANDWICH = "pre_feedforward_layernorm post_feedforward_layernorm "
_NORMED = "self_attn.q_norm self_attn.k_norm "
_LATENT = _BLOCK + "self_attn.kv_a_proj_with_mqa self_attn.kv_a_layernorm self_attn.kv_b_proj "
_BIASED = "self_attn.q_proj.bias self_attn.k_proj.bias self_attn.v_proj.bias "
_OPT = (
    "self_attn.q_proj self_attn.k_proj self_attn.v_proj self_attn.out_proj self_attn_layer_norm "
    "final_layer_norm fc1 fc2 self_attn.q_proj.bias self_attn.v_proj.bias self_attn.out_proj.bias "
    "fc1.bias fc2.bias self_attn_layer_norm.bias final_layer_norm.bias "
)
_CROSS = (
    "encoder_attn.q_proj encoder_attn.k_proj encoder_attn.v_proj encoder_attn.out_proj "
    "encoder_attn_layer_norm encoder_attn.q_proj.bias encoder_attn.v_proj.bias "
    "encoder_attn.out_proj.bias encoder_attn_layer_norm.bias "
)
_BERT = (
    "attention.self.query attention.self.key attention.self.value attention.output.dense "
    "attention.output.LayerNorm intermediate.dense output.dense output.LayerNorm "
    "attention.self.query.bias attention.self.key.bias attention.self.value.bias "
    "intermediate.dense.bias output.dense.bias attention.output.dense.bias "
)
_T5 = (
    "layer.0.SelfAttention.q layer.0.SelfAttention.k layer.0.SelfAttention.v "
    "layer.0.SelfAttention.o layer.0.layer_norm layer.1.layer_norm "
)
_T5_CROSS = (
    "layer.1.EncDecAttention.q layer.1.EncDecAttention.k layer.1.EncDecAttention.v "
    "layer.1.EncDecAttention.o layer.2.layer_norm layer.2.DenseReluDense.wo "
)
# model types -> modules, biases by their own names; a side of an encoder-decoder after a colon
_TYPES = {
    "llama mistral": _QKV + _MLP,
    "gemma": _QKV + _MLP,
    "gemma2": _QKV + _MLP + _SANDWICH,
    "gemma3_text gemma3": _QKV + _MLP + _SANDWICH + _NORMED,
    "qwen2 qwen2_vl qwen2_5_vl": _QKV + _MLP + _BIASED,
    "qwen2_moe": _QKV + _BIASED + "mlp.shared_expert_gate",
    "qwen3": _QKV + _MLP + _NORMED,
    "qwen3_moe": _QKV + _NORMED,
    "mixtral": _QKV,
    "gpt_oss": _QKV + "self_attn.sinks",
    "phi3": _BLOCK + "self_attn.qkv_proj mlp.gate_up_proj mlp.down_proj",
    "deepseek_v2 deepseek_v3 kimi_k2": _LATENT + _MLP,
    "gpt2": "ln_1 ln_2 attn.c_attn attn.c_proj mlp.c_fc mlp.c_proj ln_1.bias ln_2.bias "
    "attn.c_attn.bias attn.c_proj.bias mlp.c_fc.bias mlp.c_proj.bias",
    "gpt_neox": "input_layernorm post_attention_layernorm attention.query_key_value "
    "attention.dense mlp.dense_h_to_4h mlp.dense_4h_to_h",
    "whisper:encoder opt:decoder opt:": _OPT,
    "whisper:decoder": _OPT + _CROSS,
    "bert roberta": _BERT,
    "t5:encoder mt5:encoder umt5:encoder": _T5 + "layer.1.DenseReluDense.wo",
    "t5:decoder mt5:decoder umt5:decoder": _T5 + _T5_CROSS,
}
_MODULES = {name: words.split() for names, words in _TYPES.items() for name in names.split()}
# modules that a block needs, whatever the class: their lack is never by a choice of the converter
_MOST_ABSENT = 0.3


def absent_modules(model_type: str | None, side: str, names: frozenset[str]) -> list[str]:
    """The modules of the class that no layer has, where the layers speak its dialect.

    `names` are those of modules and of biases in the layers. A converter that fuses or renames
    leaves more out than a fault does: then nothing is told.
    """
    kind = model_type or ""
    wanted = _MODULES.get(f"{kind}:{side}") or _MODULES.get(kind) or []
    absent = [module for module in wanted if module not in names]
    return absent if len(absent) <= _MOST_ABSENT * len(wanted) else []
