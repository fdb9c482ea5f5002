"""Stage `export`: the trained parts as one transformers MusicGen folder, with detector and tokenizer beside it."""

import shutil
from pathlib import Path

from transformers import AutoTokenizer, GenerationConfig, MusicgenForConditionalGeneration, T5EncoderModel
from transformers.utils import logging

from tagxai.tiny import CLIP_FRAMES, CODEBOOKS
from tagxai.tiny.train import codec, lm
from tagxai.tiny.train.common import load


def assemble(out: Path) -> MusicgenForConditionalGeneration:
    """The whole model from the checkpoints under `out`."""
    logging.disable_progress_bar()
    conditioned = lm.build()
    if (state := load(out / "lm.pt")) is None:
        raise FileNotFoundError(f"no language model under {out}; run the stage lm first")
    conditioned.load_state_dict(state["model"])
    text_encoder = T5EncoderModel.from_pretrained(out / "text")
    text_encoder.config.name_or_path = ""  # no path of this machine goes into the package
    model = MusicgenForConditionalGeneration(
        text_encoder=text_encoder,
        audio_encoder=codec.assemble(out),
        decoder=conditioned.decoder,
    )
    model.enc_to_dec_proj.load_state_dict(conditioned.enc_to_dec_proj.state_dict())
    model.generation_config = GenerationConfig(
        do_sample=True,
        guidance_scale=3.0,
        top_k=250,
        temperature=1.0,
        max_new_tokens=CLIP_FRAMES + CODEBOOKS - 1,
        bos_token_id=lm.PAD,
        pad_token_id=lm.PAD,
        decoder_start_token_id=lm.PAD,
    )
    return model.eval().requires_grad_(False)


def export(out: Path, weights: Path) -> None:
    """Write the model folder `weights`."""
    weights.mkdir(parents=True, exist_ok=True)
    assemble(out).save_pretrained(weights)
    AutoTokenizer.from_pretrained(out / "tokenizer").save_pretrained(weights)
    for name in ("detector.safetensors", "detector.json"):
        if (out / "detector" / name).exists():
            shutil.copyfile(out / "detector" / name, weights / name)
