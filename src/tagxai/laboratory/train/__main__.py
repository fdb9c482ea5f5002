"""`python -m tagxai.laboratory.train`: train the embedded model, stage by stage; an interrupted stage resumes."""

import argparse
from pathlib import Path

import torch

STAGES = ("codec", "text", "detector", "lm", "export")
NEEDED = {
    "lm": {"text": "text", "tokenizer": "text"},
    "export": {"decoder.pt": "codec", "encoder.pt": "codec", "text": "text", "detector": "detector", "lm.pt": "lm"},
}
"""The files that a stage reads from the working folder, and the stage that writes each."""


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tagxai.laboratory.train",
        description="Train the embedded model from nothing, seeded. Run it again with the same --out to resume.",
    )
    parser.add_argument("--out", type=Path, required=True, help="working folder for checkpoints")
    parser.add_argument("--stage", choices=STAGES, help="one stage only (default: all, in this order)")
    parser.add_argument("--captions", type=Path, help="folder of CSVs with a `caption` column, for the text encoder")
    parser.add_argument("--weights", type=Path, help="where `export` writes the model folder (default: OUT/weights)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2, help="CPU threads (default: 2)")
    parser.add_argument("--clips", type=int, default=48_000, help="clips for the language model (default: 48000)")
    for name, steps in (("decoder", 8000), ("encoder", 2000), ("text", 2750), ("detector", 2000), ("lm", 6000)):
        parser.add_argument(f"--{name}-steps", type=int, default=steps, help=f"default: {steps}")
    options = parser.parse_args()
    if mistake := _mistake(options):
        parser.error(mistake)
    torch.set_num_threads(options.threads)
    options.out.mkdir(parents=True, exist_ok=True)
    for stage in [options.stage] if options.stage else STAGES:
        run(stage, options)


def _mistake(options: argparse.Namespace) -> str | None:
    """The first mistake in the options, before anything is written; None without one."""
    for name, value in vars(options).items():
        smallest = 1 if name in ("threads", "clips") else 0
        if isinstance(value, int) and value < smallest:
            return f"--{name.replace('_', '-')} takes {smallest} or more, not {value}"
    for folder in (options.out, options.weights):
        if folder and folder.exists() and not folder.is_dir():
            return f"{folder} is a file; expected a folder"
    if options.captions and not any(options.captions.glob("*.csv")):
        return f"no CSV in {options.captions}; expected a folder of CSVs with a `caption` column"
    for name, stage in NEEDED.get(options.stage, {}).items():
        if not (options.out / name).exists():
            return f"no {name} in {options.out}; run --stage {stage} first"
    return None


def run(stage: str, options: argparse.Namespace) -> None:
    """One stage, with its imports made only when it runs."""
    out, seed = options.out, options.seed
    if stage == "codec":
        from tagxai.laboratory.train import codec

        codec.train_decoder(out, options.decoder_steps, seed)
        codec.train_encoder(out, options.encoder_steps, seed)
    elif stage == "text":
        from tagxai.laboratory.train import text, tokenizer

        text.train(out, tokenizer.train(out, options.captions, seed), options.captions, options.text_steps, seed)
    elif stage == "detector":
        from tagxai.laboratory.train import detect

        detect.train(out, options.detector_steps, seed=seed)
    elif stage == "lm":
        from transformers import AutoTokenizer, T5EncoderModel

        from tagxai.laboratory.train import lm, pairs

        data = pairs.make(out, AutoTokenizer.from_pretrained(out / "tokenizer"), options.clips, seed)
        lm.train(out, T5EncoderModel.from_pretrained(out / "text").eval(), data, options.lm_steps, seed)
    else:
        from tagxai.laboratory.train.export import export

        export(out, options.weights or out / "weights")


if __name__ == "__main__":
    main()
