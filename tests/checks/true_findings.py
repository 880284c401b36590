"""What audit truly finds in sound header sets, with the reason in words: the golden list.

Every finding of severity error and warning over all packs and all model types of
fixtures/families/models.json.gz stands here, by code and model. There is no error among them.
`FALSE` are those that are not true, and why no rule tells them from true ones.
"""

from __future__ import annotations

PACKS: dict[str, dict[str, str]] = {
    "deepseek-ai--DeepSeek-V2-Lite": {"X003": "its config names modeling_deepseek.py"},
    "deepseek-ai--DeepSeek-V3": {
        "E001": "124 of 163 headers are not padded",
        "I005": "total_size is that of the model in BF16",
        "X003": "its config names modeling_deepseek.py",
    },
    "google--gemma-2-9b": {"D001": "stored in F32: 36,964,401,152 bytes, as the release is"},
    "google-bert--bert-base-uncased": {"S008": "the file has the names of TensorFlow's days"},
    "google-t5--t5-base": {"E001": "an old writer did not pad the header"},
    "microsoft--MAI-DS-R1": {"X003": "its config names modeling_deepseek.py"},
    "mistralai--Mistral-7B-Instruct-v0.3": {"I007": "a second copy, consolidated.safetensors"},
    "moonshotai--Kimi-K2-Instruct": {"X003": "its config names modeling_deepseek.py"},
}
_DROPPED = "the type's class drops the drafting layers that its config counts"
_TWICE = "the types were written without a memory to share: tied heads are stored beside the table"
_UNLIKE = "the defaults of the outer and the inner config differ, and loaders read either"
_MEMORY = "as loaded, the types have the names of memory, which none of their files has"
# code -> (reason, model types)
TYPES: dict[str, tuple[str, str]] = {
    "C002": (_DROPPED, "deepseek_v3 deepseek_v4 kimi_k25"),
    "C008": (_TWICE, """
        bert-generation big_bird bigbird_pegasus biogpt blenderbot blip blip-2 bloom camembert
        canary cohere2_moe cohere2_vision cpmant csm ctrl data2vec-text deberta electra
        encoder-decoder ernie ernie4_5 ernie4_5_moe ernie4_5_vl_moe flava florence2 fnet
        fun_asr_nano gemma3 gemma4 gemma4_unified gpt2 gpt_neo gpt_neox_japanese granite_swa ibert
        instructblipvideo jetmoe jina_embeddings_v3 kosmos-2.5 layoutlm led lfm3 lfm3_vl luke lxmert
        m2m_100 mamba marian minicpm3 mobilebert modernbert modernbert-decoder moonshine mpnet mpt
        mt5 mvp nllb-moe nystromformer opt paligemma pegasus pegasus_x plbart pop2piano qwen2_5_omni
        qwen3_vl_moe recurrent_gemma roberta roberta-prelayernorm roc_bert roformer smollm3
        speech-encoder-decoder speech_to_text speecht5 squeezebert switch_transformers t5 t5gemma
        tapas trocr udop vaultgemma voxtral_realtime xglm xlnet xmod youtu zamba2 zaya
    """),
    "C010": (_UNLIKE, """
        deepseek_vl deepseek_vl_hybrid glmasr granite_speech granite_speech_plus
        hyperclovax_vision_v2 janus kimi_k25 lighton_ocr minicpm_ocr moss_transcribe_diarize ovis2
        qwen3_vl_moe
    """),
    "C012": ("the text model alone, with the config of the whole", "mllama"),
    "C013": (_MEMORY, """
        aria fuyu gemma3 llava_next_video llava_onevision paligemma qwen2_5_vl qwen2_audio vipllava
    """),
    "H012": ("the default config has 0 points to sample: biases of no element", "lw_detr"),
}  # fmt: skip
FALSE: dict[str, tuple[str, str]] = {
    "C001": (
        "decoder_layers counts what stands before the first layer too; a lost last layer would "
        "look the same",
        "mask2former oneformer",
    ),
}
