"""`python -m tagxai.laboratory.train`: train the embedded model, stage by stage; an interrupted stage resumes."""

import argparse
from pathlib import Path

import torch

STAGES = ("codec", "text", "detector", "lm", "export")
NATURAL_STAGES = ("text", "lm", "export")
NEEDED = {
    "lm": {"text": "text", "tokenizer": "text"},
    "export": {"decoder.pt": "codec", "encoder.pt": "codec", "text": "text", "detector": "detector", "lm.pt": "lm"},
}
OTHERWISE = {"text": (2750, 6000), "lm": (6000, 2500)}
"""Steps of the stages that the sibling trains, by default: of the model, and of the sibling."""

NATURAL_NEEDED = {"lm": NEEDED["lm"], "export": {"text": "text", "lm.pt": "lm"}}
"""The files that a stage reads from the working folder, and the stage that writes each."""


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tagxai.laboratory.train",
        description="Train the embedded model from nothing, seeded. Run it again with the same --out to resume.",
    )
    parser.add_argument("--out", type=Path, required=True, help="working folder for checkpoints")
    parser.add_argument("--stage", choices=STAGES, help="one stage only (default: all, in this order)")
    parser.add_argument("--captions", type=Path, help="folder of CSVs with a `caption` column, for the text encoder")
    parser.add_argument(
        "--natural",
        action="store_true",
        help="train the sibling with a natural text encoder, which has the shipped codec and detector",
    )
    parser.add_argument("--weights", type=Path, help="where `export` writes the model folder (default: OUT/weights)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2, help="CPU threads (default: 2)")
    parser.add_argument("--device", default="cpu", help="of the language model's stage, such as cuda (default: cpu)")
    parser.add_argument("--batch", type=int, default=32, help="clips in a step of the language model (default: 32)")
    parser.add_argument("--clips", type=int, help="clips for the language model (default: 48000, --natural: 24000)")
    for name, steps in (("decoder", 8000), ("encoder", 2000), ("detector", 2000)):
        parser.add_argument(f"--{name}-steps", type=int, default=steps, help=f"default: {steps}")
    for name, (steps, natural) in OTHERWISE.items():
        parser.add_argument(f"--{name}-steps", type=int, help=f"default: {steps}, --natural: {natural}")
    options = parser.parse_args()
    if mistake := _mistake(options):
        parser.error(mistake)
    for name, defaults in {"clips": (48_000, 24_000), **{f"{k}_steps": v for k, v in OTHERWISE.items()}}.items():
        if getattr(options, name) is None:
            setattr(options, name, defaults[options.natural])
    torch.set_num_threads(options.threads)
    options.out.mkdir(parents=True, exist_ok=True)
    for stage in [options.stage] if options.stage else NATURAL_STAGES if options.natural else STAGES:
        (run_natural if options.natural else run)(stage, options)


def _mistake(options: argparse.Namespace) -> str | None:
    """The first mistake in the options, before anything is written; None without one."""
    for name, value in vars(options).items():
        smallest = 1 if name in ("threads", "clips", "batch") else 0
        if isinstance(value, int) and value < smallest:
            return f"--{name.replace('_', '-')} takes {smallest} or more, not {value}"
    for folder in (options.out, options.weights):
        if folder and folder.exists() and not folder.is_dir():
            return f"{folder} is a file; expected a folder"
    try:
        torch.empty(0, device=options.device)
    except (RuntimeError, AssertionError):
        return f"torch has no device {options.device!r} here; the default is cpu"
    if options.captions and not any(options.captions.glob("*.csv")):
        return f"no CSV in {options.captions}; expected a folder of CSVs with a `caption` column"
    if options.natural and options.stage in set(STAGES) - set(NATURAL_STAGES):
        return f"--natural has no stage {options.stage}; its stages are {', '.join(NATURAL_STAGES)}"
    if options.natural and not options.captions and options.stage in (None, "text"):
        return "--natural takes its sub-words from captions; give --captions FOLDER"
    for name, stage in (NATURAL_NEEDED if options.natural else NEEDED).get(options.stage, {}).items():
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

        from tagxai.laboratory.train import codec, lm, pairs

        words, space = AutoTokenizer.from_pretrained(out / "tokenizer"), codec.latent_space(out, seed)
        data = pairs.make(out, words, space, options.clips, seed)
        encoder = T5EncoderModel.from_pretrained(out / "text").eval()
        lm.train(out, encoder, data, options.lm_steps, seed, options.batch, device=options.device)
    else:
        from tagxai.laboratory.train.export import export

        export(out, options.weights or out / "weights")


def run_natural(stage: str, options: argparse.Namespace) -> None:
    """One stage of the sibling."""
    from tagxai.laboratory.train import natural

    if stage == "text":
        natural.train_text(options.out, options.captions, options.text_steps, options.seed)
    elif stage == "lm":
        natural.train_lm(options.out, options.clips, options.lm_steps, options.seed, options.batch, options.device)
    else:
        natural.export(options.out, options.weights or options.out / "weights")


if __name__ == "__main__":
    main()
