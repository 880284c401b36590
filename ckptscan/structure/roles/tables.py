"""The names behind the roles: compiled patterns, one example in the comment above each.

They meet names as `spot.snake` writes them.
"""

from __future__ import annotations

from ckptscan.late import Late

# qzeros, g_idx, weight_scale_inv, quant_state.bitsandbytes__nf4, act_scaling_factor, x_min
QUANTIZATION = Late(
    r"q?zeros|scales|g_idx|scb|(?:nested_)?(?:absmax|quant_map)|quant_state(?:\..*)?|"
    r"(?:\w+_)?(?:scale_inv|zero_points?|global_scale|integer)|(?:act|fc|weight)_scaling_factor|"
    r"(?:weight|input|output|[qkv]|kv|prob|act|activation)_scales?(?:_\d)?|"
    r"scale_(?:weight|input)|scaled_fp8|\w+_scales|bitsandbytes__\w+|weight_(?:shape|format|"
    r"g_idx)|"
    r"(?:x|input|output)_(?:min|max)|(?:q|qk|attn|out)_?zp|_?fake_quant.*|biases"
)
# running_mean, position_ids, masked_bias, relative_position_index, cluster_size, _extra_state
BUFFER = Late(
    r"running_(?:mean|var)|num_batches_tracked|(?:\w+_)?(?:position|token_type|segment)_ids|"
    r"masked_bias|(?:\w+_)?(?:attn|attention|causal|causality)_mask|"
    r"relative_(?:position_index|coords_table|position_bucket)|rp_bucket|"
    r"cluster_(?:size|usage)|(?:embed|embedding)_(?:avg|sum)|inited|initialized|"
    r"(?:\w*_)?extra_state|"
    r"slope_rate|(?:query|key|diagonal)_decay|slopes|summary_idxs|tid2eid|final_logits_bias|"
    r"(?:norm|image|pixel|global|latents?|data|feature)_(?:mean|std|invstd|var)|latents_(?:mean|"
    r"std)|"
    r"mel_filters|pos_idx_to_embed|n_averaged|num_updates|num_points_scale|"
    r"(?:sqrt_)?alphas_cumprod.*|"
    r"(?:cos|sin)_cached|freqs_cis|attn_bias_mask|(?:\w+_)?bias_idxs?|tril|step|tokens_per_expert"
)
# rotary_emb.inv_freq, rope.freqs
ROPE = Late(r"inv_freqs?|(?:original_)?inv_freq|freqs|freqs_(?:cos|sin)|rope_freqs")
# lora_A.default.weight, lora_down.weight, lora_embedding_B, hada_w1_a, lokr_w2
LORA_A = Late(r"lora_(?:embedding_)?(?:a|down)(?:_\w+)?|hada_w\d_a|lokr_w1(?:_[ab])?|oft_r")
LORA_B = Late(r"lora_(?:embedding_)?(?:b|up|mid)(?:_\w+)?|hada_w\d_b|lokr_(?:w2(?:_[ab])?|t2)")
LORA_MAGNITUDE = Late(r"lora_magnitude_vector|dora_scale|lora_magnitude")

# cls_token, mask_token, query_tokens, class_embedding, masked_spec_embed, probe, image_newline
TOKEN = Late(
    r"(?!embed)(?:\w+_)?(?:tokens?|token_(?:semantic|instance|prompt|input))|"
    r"class_(?:embedding|emb|query)|(?:masked_spec|mask|cls|point|no_mask|no_mem\w*|"
    r"not_a_point)_emb(?:ed\w*)?|"
    r"no_(?:mem|obj)\w*|occlusion_\w+|probe|(?:\w+_)?latents?(?:_\dd)?|image_(?:newline|begin|"
    r"end|sep)|view_seperator|"
    r"(?:object_|learned_)?(?:query|queries)(?:_(?:embed\w*|feat\w*|tokens?|global))?|"
    r"queries_(?:embed\w*|features)|"
    r"latent_query|(?:sub|glb|global)_gn|pooling_attention_query|(?:mask|sos|eos|bos)_(?:emb|"
    r"latent|token\w*)|"
    r"(?:\w+_)?sil_emb|silence_embeds|learnable_\w*emb|text_prompt|(?:cls|sep)_emb\w*"
)
# embed_positions, wpe, pos_embed, relative_attention_bias, relative_position_bias_table, ape
POSITION = Late(
    r"wpe|ape|(?:\w+_)?(?:pos|position|positions|positional|rpe)(?:_\w+)?|"
    r"relative_attention_bias|(?:rel|relative)_(?:bias|embeddings|attention_bias|emb)\w*|"
    r"distance_embedding|attention_biases|(?:row|column|col|height|width|level)_embed\w*|"
    r"rel_attn_embed|pe_k|bias_values|seq_pos\w*|refpoint_embed|reference_point\w*|"
    r"(?:temporal|spatial|frame|time)_(?:pos\w*|embedding)"
)
# token_type_embeddings, segment_embedding, seg_embed
TOKEN_TYPE = Late(
    r"(?:token_)?types?_emb\w*|token_type_embeddings(?:_(?:\d|\*))?|tte|"
    r"(?:token_)?seg(?:ment)?_emb\w*|"
    r"(?:language|lang|modality|speaker|segment)_emb\w*"
)
# embed_tokens, wte, word_embeddings, tok_embeddings, embed_in, shared, in_out_embed
EMBEDDING = Late(
    r"wte|shared|embed(?:_in)?|embeddings?|embd|emb|w|(?:\w+_)?(?:embed|embd|emb|embedding|"
    r"embeddings|embedder|embeds)(?:_(?:tokens?|in|layer|tokens?_per_layer|layer|table|text|"
    r"tokens_\w+|\d+))?|"
    r"embed_(?!out|project)\w+|lookup_table|word_emb\w*"
)
# decoder_embed, embeddings_project: what stands at an embedding and isn't one
NO_EMBEDDING = Late(r"(?:^|_)(?:proj\w*|dense|linear|fc|bias|gate|norm|scale)(?:_|$)")
# embeddings_project, audio_tower.proj, conv_out, entity_embedding_dense, map_inputs_layer
JOINT = Late(
    r"(?:^|_)(?:proj|project|projection|transform|transformation|mapping|map|dense|linear|"
    r"fc)\d?(?:_|$)|_embed$|_out$|_output$"
)

# input_layernorm, ln_1, norm1, bn2, q_a_layernorm, LayerNorm, layrnorm
NORM = Late(r"norm(?!al_|als)|layrnorm|(?:^|_)(?:ln|bn|gn|rms|rmsn|grn|lrn)\d*(?:_|$)")
# q_norm, k_layernorm, norm_added_q, query_layernorm, layer_norm_q, q_ln
QK_NORM = Late(
    r"(?:added_)?(?:q|k|qk|query|key)_?(?:layer_?)?(?:norm|ln|rmsnorm|layernorm)\d?|"
    r"(?:layer_?)?norm_(?:added_)?(?:q|k|query|key)|(?:query|key)_layer_norm"
)

# e_score_correction_bias, expert_bias, moe_statics, router_bias, balancing_biases
ROUTER_BIAS = Late(
    r"e_score_correction(?:_bias)?|expert_bias|(?:router|routing|balancing)_bias(?:es)?|"
    r"moe_statics|"
    r"expert_bias_\w+|correction_bias|aux_free_bias"
)
# router, gate.wg, primary_router, gating
ROUTER = Late(r"(?:\w+_)?router(?:_\w+)?|gating|wg|router_\w+|gate_router|moe_gate")
# router.layer, gate.weight, mlp.gate.classifier: what a router is made of
ROUTER_PART = Late(
    r"layers?|proj|gate|classifier|linear|wg|dense|fc\d?|weight|scale|w|mlp|(?:down|up|"
    r"out)_proj|per_expert_scale"
)
ROUTER_PARENT = Late(r"(?:\w+_)?router|gate|moe_gate|gating")
# shared_expert_gate, share_expert_gate
SHARED_ROUTER = Late(r"shared?_experts?_(?:gate|router)|shared_gate")

# mtp, mtp_layers, nextn_predict_layers
MTP = Late(r"mtp(?:_\w+)?|nextn(?:_\w+)?|\w+_mtp")
# eh_proj, enorm, hnorm
MTP_ANYWHERE = Late(r"eh_proj|enorm|hnorm|e_proj|h_proj")
# mtp.fc, mtp.pre_fc_norm_hidden, mtp_layers.*.token_layernorm
MTP_PART = Late(
    r"fc|input_proj|(?:pre_fc_norm|norm)_(?:embedding|hidden)|(?:token|hidden)_layernorm"
)

# time_decay, time_mix_key, time_maa_w1, time_faaaa; RWKV-7's w0, a1, k_k, x_r
RWKV_LEAF = Late(r"time_(?:decay|mix|maa|first|faaaa|state)\w*")
RWKV7_LEAF = Late(r"[wavgk][0-2]|[kr]_[ka]|x_[rwkvagx]")
# weight_ih_l0, bias_hh_l1_reverse
RNN_LEAF = Late(r"(?:weight|bias)_(?:ih|hh|hr)_l\d+(?:_reverse)?")
# A_log, dt_bias, D, x_proj, dt_proj, in_proj, conv1d
SSM_LEAF = Late(r"a_logs?|dt_bias|d|ds|b_bias|c_bias|d_skip|dt|x_proj_weight|dt_projs_\w+")
SSM_PART = Late(
    r"in_proj|x_proj|dt_proj|bcdt_proj|conv1d|out_proj|dt|x_conv\w*|[bc]_proj|[zx]_proj"
)
# q_conv1d, f_a_proj, b_proj, in_proj_qkvz: gated delta nets and their kin
LINEAR_SIGN = Late(
    r"in_proj_(?:qkvz|qkv|ba|z|a|b)|[qkv]_conv1d|f_[ab]_proj|slope_rate|[qkv]_conv|g_[ab]_proj"
)
LINEAR_PART = Late(
    r"in_proj\w*|out_proj|conv1d|[qkvabgof]_proj|[qkv]_conv(?:1d)?|[fg]_[ab]_proj|qkv_proj|"
    r"output_gate|a_log|dt_bias|d|dt_proj|g_norm_swish_gate"
)

# layer_scale1.lambda1, ls1.gamma, gamma_1, layer_scalar, ffn_gamma, layer_scale_parameter
LAYER_SCALE = Late(
    r"(?:\w+_)?layer_?scal(?:e|ar)(?:_?\d)?(?:_\w+)?|lambda_?[12]?|(?:\w+_)?gamma(?:_?\d)?|"
    r"ls_?\d|"
    r"(?:\w+_)?residual_(?:scale|bias)|hidden_states_(?:scale|bias)|skip_scale|"
    r"input_hidden_states_\w+"
)
# cross_attn_attn_gate, alpha_cross_attn: a learned number on a residual
RESIDUAL_GATE = Late(
    r"cross_attn_(?:attn|mlp)_gate|alpha_(?:cross_attn|dense)|(?:attn|ff|mlp)_gate|"
    r"(?:text|vision)_param|(?:\w+_)?residual"
)
LAYER_SCALE_PARENT = Late(r"(?:\w+_)?layer_?scale\d?|ls_?\d|(?:\w+_)?residual_(?:gate|scale)")

# lm_head, embed_out, unembed, generator_lm_head
LM_HEAD = Late(
    r"(?:\w+_)?lm_heads?|embed_out|unembed\w*|word_embeddings_for_head|lm_loss|lm_output|"
    r"embedding_decoder|output_embeddings?|to_logits"
)
# output, head, decoder, output_layer: only at the top, and with the rows of a vocabulary
MAYBE_LM_HEAD = Late(
    r"output|head|decoder|generator|output_(?:layer|projection)|ff_out|proj_out|vocab_proj\w*|"
    r"logits\w*|predictions"
)
# logit_scale, logit_bias, temperature
LOGIT = Late(r"logit_(?:scale|bias)(?:_\w+)?|temperature")
# scale_shift_table
MODULATION = Late(r"(?:\w+_)?scale_shift_table|(?:ada_?ln|modulation)(?:_\w+)?|\w+_mod")

# q_a_proj, wq_a, linear_q_down_proj
Q_A = Late(r"w?q_a(?:_proj)?|(?:linear_)?q_down(?:_proj)?|q_lora_a|q_compress\w*")
Q_B = Late(r"w?q_b(?:_proj)?|(?:linear_)?q_up(?:_proj)?|q_lora_b")
# kv_a_proj_with_mqa, wkv_a_with_mqa, linear_kv_down_proj
KV_A = Late(r"w?kv_a(?:_proj)?(?:_with_mqa)?|(?:linear_)?kv_down(?:_proj)?|kv_lora_a|k_rope_proj")
KV_B = Late(r"(?:w?kv|w?k|w?v)_b(?:_proj)?|(?:linear_)?(?:kv|k|v)_up(?:_proj)?|kv_lora_b")
MLA_SIGN = Late(r"w?q_a(?:_proj)?|w?kv_a(?:_proj)?(?:_with_mqa)?")
# query_key_value, c_attn, W_pack, att_proj, in_proj_weight
QKV = Late(r"(?:\w+_)?w?qkv(?:_\w+)?|w_pack|c_attn|in_proj|att_proj|gqkv_proj|linear_qkv")
SINKS = Late(r"(?:\w+_)?sinks?(?:_(?:bias|param|proj|logits?))?")
# g_proj, gate_proj, output_gate, w_g, attn_gate, linear_gate
ATTENTION_GATE = Late(r"(?:\w+_)?gate(?:_\w+)?|g_proj|w_?g|(?:out|attn)_gate")
# o_proj, out_lin, c_proj, to_out, attention.output.dense, Wo, linear_proj
OUT = Late(
    r"(?:\w+_)?w?o(?:_(?:proj|lin|linear|a|b|ud|a_proj|b_proj))?|(?:\w+_)?out(?:_(?:proj\w*|lin|"
    r"linear|layer|\w+_proj))?|"
    r"c_proj|(?:\w+_)?dense|proj|output(?:_\w+)?|linear(?:_(?:proj|out|o|attn))?|proj_o(?:ut)?|"
    r"(?:project|projection|fc)_out|"
    r"to_(?:add_)?out|final|resid_proj|post|projection(?:_layer)?|conv1d|fc"
)
# names that belong to attention wherever they stand
STRONG = Late(
    r"(?:add_)?[qkvo]_(?:proj|lin|linear)|(?:qkv|kv)_proj|w_?(?:q|k|v|qkv)|to_(?:q|k|v|qkv|kv|"
    r"out|add_out)|"
    r"c_attn|att_proj|attn_out|query_key_value|qkv|w_pack|out_lin|(?:project|linear|proj)_[qkv]|"
    r"(?:query|key|value)_proj|add_[qkv]_proj|linear_qkv"
)
# attention's own tables and helpers, that hold a q or k in their name
NOT_QKV = frozenset(
    "rel relative pos position pe lambda decay conv1d sconv conv scale norm temp clip ln bias_u "
    "lora rpe r b layernorm gamma index mix".split()
)

# gate_proj, w_0, wi_0, c_fc_0, fc12, linear_gate, proj_up_gate
GATE = Late(
    r"(?:\w+_)?gate(?:_(?:proj|linear|layer|fc|w|dense))?|c_fc_0|c_fc2|fc12|wi?_0|wi_gate|"
    r"(?:fc\d_)g|gated_layers_w|gating|ff_proj|w_in_shared_fd|moe_w_in_ed_f|fc1_g"
)
# gate_up_proj, w12, w13, gated_layers, input_linear
GATE_UP = Late(
    r"(?:\w+_)?(?:gate_(?:and_)?up|up_gate)(?:_(?:proj|linear))?|(?:shared_)?w1[23]|"
    r"gated_layers?|"
    r"up_gated_layer|input_linear|gateup(?:_proj)?|upgate_proj"
)
# up_proj, c_fc, wi_1, dense_h_to_4h, fc_in, intermediate_dense
UP = Late(
    r"(?:\w+_)?up(?:_(?:proj|linear|layer))?|c_fc(?:_1)?|wi(?:_1)?|w_?in|(?:fc|proj|linear|ff|"
    r"dense|project|lin)_in|"
    r"fc11|dense_h_to_4h|intermediate(?:_\w+)?|linear_[v3]|fc1_x|gated_layers_v|v1|linear_start|"
    r"proj_up|in_(?:proj|linear)|input_projection|pwconv1|pw_?conv_?1|expand\w*|"
    r"w_swiglu\w*|moe_w_swiglu\w*|key|first_(?:layer|dense)"
)
# down_proj, c_proj, Wo, dense_4h_to_h, output_dense, fc_out, w_out
DOWN = Late(
    r"(?:\w+_)?down(?:_(?:proj|linear|layer))?|c_proj|wo|w_?out|(?:fc|proj|linear|ff|dense|"
    r"project|lin)_out|"
    r"dense_4h_to_h|output(?:_(?:linear|dense|layer|proj))?|linear_end|proj_down|out_(?:proj|"
    r"linear)|"
    r"o_proj|pwconv2|pw_?conv_?2|reduce|moe_w_out\w*|w_out_shared\w*|value|output_projection|"
    r"out|resize"
)
# fc1, linear_2, lin1, dense2, layer_1, linear_fc1, ffw_layer_2, proj_1, w_2, fc0
NUMBERED = Late(
    r"(?:\w+_)?(?:fc|lin|linear|linear_fc|dense|dense_layer|layer|layers|proj|project|w|ffn|"
    r"conv|mlp_fc|projection|ff|mlp)_?([0-4])"
)
# attn_queries.3: a leaf that is an index
INDEX = Late(r"\*|\d+|\([^()]*\)")
DIGITS = frozenset("01234")
# intermediate_query, layout_intermediate, lang_inter
INTERMEDIATE = Late(r"(?:^|_)inter(?:mediate)?(?:_|$)")
# multi_modal_projector, merger, connector: convolutions in one are its own
CONNECTOR = Late(r"projectors?(?:_|$)|merger|connector|aligner|abstractor|^mm_|resampler")
# w1, w2, w3, w12, v1: which is which the siblings tell
LETTERED = Late(r"(?:shared_)?(?:w([1-4])|v1)")
