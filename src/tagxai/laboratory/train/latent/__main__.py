"""`python -m tagxai.laboratory.train.latent OUT`: train the second embedded model; an interrupted run resumes."""

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch

from tagxai.laboratory import WEIGHTS


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tagxai.laboratory.train.latent",
        description="Train `latent` with the shipped text encoder and codec. Run again with the same folder to resume.",
    )
    parser.add_argument("out", type=Path, help="working folder for data and checkpoints")
    parser.add_argument("--weights", type=Path, help="where the model folder is written (default: OUT/weights)")
    parser.add_argument("--clips", type=int, default=32_000, help="training clips (default: 32000)")
    parser.add_argument("--steps", type=int, default=5400, help="default: 5400")
    parser.add_argument("--batch", type=int, default=16, help="clips a step (default: 16)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1, help="CPU threads (default: 1)")
    options = parser.parse_args(arguments)
    for name, smallest in (("clips", 1), ("steps", 0), ("batch", 1), ("seed", 0), ("threads", 1)):
        if (value := getattr(options, name)) < smallest:
            parser.error(f"--{name} takes {smallest} or more, not {value}")
    for folder in (options.out, options.weights):
        if folder and folder.exists() and not folder.is_dir():
            parser.error(f"{folder} is a file; expected a folder")
    torch.set_num_threads(options.threads)
    run(options)


def run(options: argparse.Namespace) -> None:
    """All stages, each from where it was left."""
    from transformers import AutoTokenizer, MusicgenForConditionalGeneration

    from tagxai.laboratory.latent_flow import FlowConfig
    from tagxai.laboratory.train.latent import loop, pairs, space

    model = MusicgenForConditionalGeneration.from_pretrained(WEIGHTS, dtype=torch.float32)
    tokenizer, encode = AutoTokenizer.from_pretrained(WEIGHTS), loop.frozen(model.text_encoder)
    fitted = space.shipped_space(options.out, model)
    data = pairs.make(options.out, tokenizer, fitted, options.clips, options.seed)
    settings = loop.Settings(steps=options.steps, batch=options.batch, seed=options.seed)
    held_out = pairs.held_out(tokenizer, fitted)
    flow = loop.train(options.out, data, encode, fitted, held_out, settings, FlowConfig())
    flow.save(options.weights or options.out / "weights")


if __name__ == "__main__":
    main()
