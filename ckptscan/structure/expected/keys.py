"""The keys under which configs say the figures of a model, the commonest first."""

from __future__ import annotations

from ckptscan.late import Late

LAYERS = ("num_hidden_layers", "n_layers", "n_layer", "num_layers", "depth", "layers")
SIDE_LAYERS = {
    "decoder": ("decoder_layers", "num_decoder_layers", "decoder_num_hidden_layers"),
    "encoder": ("encoder_layers", "num_encoder_layers", "encoder_num_hidden_layers"),
    "": (),
}
# layers that are used several times: fewer are stored than run
SHARED_LAYERS = ("num_hidden_groups", "num_shared_layers", "num_mem_blocks", "layer_sharing")
# layers that run several times in turn: cycles, loops, recurrences
CYCLES = Late(r"(?i)cycle|loop|recur|repeat|iteration")
DRAFTING = ("num_nextn_predict_layers", "num_mtp_layers", "mtp_num_hidden_layers")
HIDDEN = ("hidden_size", "d_model", "n_embd", "dim", "model_dim", "hidden_dim")
WIDTHS = (
    "intermediate_size",
    "ffn_dim",
    "d_ff",
    "n_inner",
    "ffn_hidden_size",
    "feed_forward_size",
    "encoder_ffn_dim",
    "decoder_ffn_dim",
    "intermediate_size_mlp",
    "mlp_intermediate_size",
    "dense_intermediate_size",
    "moe_intermediate_size",
    "expert_ffn_hidden_size",
    "ffn_intermediate_size",
    "expert_intermediate_size",
)
EXPERT_WIDTHS = ("moe_intermediate_size", "expert_ffn_hidden_size", "expert_intermediate_size")
EXPERTS = (
    "n_routed_experts",
    "num_routed_experts",
    "num_local_experts",
    "num_experts",
    "moe_num_experts",
    "n_experts",
    "num_moe_experts",
)
SHARED_EXPERTS = ("n_shared_experts", "num_shared_experts", "moe_num_shared_experts")
HEADS = ("num_attention_heads", "n_heads", "n_head", "num_heads")
SIDE_HEADS = {"decoder": ("decoder_attention_heads",), "encoder": ("encoder_attention_heads",)}
KV_HEADS = (
    "num_key_value_heads",
    "n_kv_heads",
    "num_kv_heads",
    "n_head_kv",
    "multi_query_group_num",
)
HEAD_DIM = ("head_dim", "kv_channels", "d_kv", "head_size", "attention_head_dim")
VOCABULARY = ("vocab_size", "padded_vocab_size", "n_vocab")
PADDING = 1024  # rows that are added so that a table divides well; engines take up to 512
