"""Stage `export`: the trained parts as one transformers MusicGen folder, with detector and tokenizer beside it."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from transformers import AutoTokenizer, EncodecModel, GenerationConfig, MusicgenForConditionalGeneration, T5EncoderModel
from transformers.utils import logging

from tagxai.laboratory import CLIP_FRAMES, CODEBOOKS
from tagxai.laboratory.judging import meters
from tagxai.laboratory.sounds.waves import Wave
from tagxai.laboratory.train import codec, lm
from tagxai.laboratory.train.checkpoints import load
from tagxai.laboratory.train.detect import reconstruct


def assemble(out: Path, audio_encoder: EncodecModel | None = None) -> MusicgenForConditionalGeneration:
    """The whole model from the checkpoints under `out`, with their codec or with `audio_encoder`."""
    logging.disable_progress_bar()
    conditioned = lm.build()
    if (state := load(out / "lm.pt")) is None:
        raise FileNotFoundError(f"no language model under {out}; run the stage lm first")
    conditioned.load_state_dict(state["model"])
    text_encoder = T5EncoderModel.from_pretrained(out / "text")
    text_encoder.config.name_or_path = ""  # no path of this machine goes into the package
    model = MusicgenForConditionalGeneration(
        text_encoder=text_encoder,
        audio_encoder=audio_encoder or codec.assemble(out),
        decoder=conditioned.decoder,
    )
    model.enc_to_dec_proj.load_state_dict(conditioned.enc_to_dec_proj.state_dict())
    model.generation_config = GenerationConfig(
        do_sample=True,
        guidance_scale=1.75,
        top_k=250,
        temperature=0.5,
        max_new_tokens=CLIP_FRAMES + CODEBOOKS - 1,
        bos_token_id=lm.PAD,
        pad_token_id=lm.PAD,
        decoder_start_token_id=lm.PAD,
    )
    return model.eval().requires_grad_(False)


def export(out: Path, weights: Path) -> None:
    """Write the model folder `weights`."""
    weights.mkdir(parents=True, exist_ok=True)
    (weights / "meters.json").write_text(json.dumps(meters.calibrate(_rendering(out)), indent=1) + "\n")
    assemble(out).half().save_pretrained(weights)  # half the megabytes; all figures are those of the rounded weights
    load_as_float32(weights / "config.json")
    AutoTokenizer.from_pretrained(out / "tokenizer").save_pretrained(weights)
    for name in ("detector.safetensors", "detector.json"):
        shutil.copyfile(out / "detector" / name, weights / name)


def _rendering(out: Path) -> Callable[[Wave], Wave]:
    """A function that renders clips `[clips, samples]` by the codec's decoder, from their exact codes."""
    decoder, space = codec.assemble(out), codec.latent_space(out)
    return lambda waves: reconstruct(decoder, space, torch.from_numpy(waves).float().clamp(-1, 1)).double().numpy()


def load_as_float32(path: Path) -> None:
    """Have transformers load the stored half precision as single precision."""

    def set_dtype(values: dict[str, Any]) -> dict[str, Any]:
        return {
            name: "float32" if name == "dtype" else set_dtype(value) if isinstance(value, dict) else value
            for name, value in values.items()
        }

    path.write_text(json.dumps(set_dtype(json.loads(path.read_text())), indent=2, sort_keys=True) + "\n")
