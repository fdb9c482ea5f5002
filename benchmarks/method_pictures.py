"""A picture for the page of each family of methods: its methods on one and the same clip, below what is true of it.

uv run python benchmarks/method_pictures.py docs/images/methods
"""

import argparse
from pathlib import Path

import tagxai
from tagxai.benchmark.controls import Oracle
from tagxai.explaining.loading import make_method
from tagxai.report.figures.heat_map import heat_maps

PROMPT, SEED = "a dog barks followed by rain falling", 0
BESIDE = {"operator": "delete", "beside": 3}
FAMILIES = {
    "attention": {name: {} for name in ("cross_attention", "daam", "attention_rollout")},
    "attention-x-gradients": {name: {} for name in ("gradient_x_attention", "attention_grad_cam", "generic_attention")},
    "decomposition": {name: {} for name in ("value_norms", "value_zeroing", "alti", "alti_logit")},
    "gradients": {
        name: {} for name in ("saliency", "input_x_gradient", "smooth_grad", "integrated_gradients", "gradient_shap")
    },
    "removal": {"atman": {}, "occlusion": {}, "occlusion (operator=delete, beside=3)": BESIDE}
    | {name: {"operator": "delete"} for name in ("shapley", "kernel_shap", "lime", "context_cite")},
    "mask-learning": {"audiogenx": {}, "audiogenx (explainer=mlp)": {"explainer": "mlp"}},
    "products": {name: {} for name in ("share_x_effect", "share_x_alti_logit")},
}
"""The methods of each picture, and their settings where they are not the defaults."""


def draw(generator_name: str, families: dict[str, dict[str, dict]], folder: Path) -> None:
    """Make the clip once, and draw `FAMILY.png` for each family."""
    generator = tagxai.load_generator(generator_name)
    clip = generator.generate(PROMPT, seed=SEED)
    truth = Oracle().attribute(generator, clip)
    for family, methods in families.items():
        shown = {"what is true": truth}
        for label, settings in methods.items():
            method = make_method(label.partition(" (")[0], settings)
            shown[label] = method.attribute(generator, clip)
            for text, score, _ in shown[label].per_word():
                print(f"{family:22} {label:40} {text:10} {score:8.3f}")
        heat_maps(shown).savefig(folder / f"{family}.png", dpi=80)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    draw("tiny", FAMILIES, folder)
    draw("latent", {"coupled-regeneration": {"coupled_regeneration": {}, "occlusion": BESIDE}}, folder)


if __name__ == "__main__":
    main()
