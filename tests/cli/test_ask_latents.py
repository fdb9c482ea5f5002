"""`tagxai ask` and `tagxai effects` of a model that denoises: it has no codes, no preceding audio, and another unit."""

import json

import pytest
from cli_helpers import run

from tagxai.explaining.kept_answers import kept
from tagxai.methods.random import Random


@pytest.fixture(scope="module")
def clip(latent):
    return latent.generate("a dog barks", duration=0.4, seed=1)


@pytest.fixture
def folder(latent, clip, tmp_path, monkeypatch):
    monkeypatch.setattr("tagxai.cli.options.load_generator", lambda spec, **options: latent)
    Random().attribute(latent, clip).save(tmp_path / "out")
    return tmp_path / "out"


@pytest.mark.parametrize(
    ("arguments", "meaning"),
    [
        (["ask"], "log-likelihood of the clip's latents: with no prompt, and what the prompt adds"),
        (["ask", "--instead", "dog=cat"], "log-likelihood of the clip's latents, minus that under: a cat barks"),
        (
            ["ask", "--interval", "0:0.2", "--against", "0.2:0.4"],
            "what each word adds to the log-likelihood of the clip's latents",
        ),
        (["effects"], "lost without each word: total (delete), directly (value), and the rest"),
    ],
)
def test_answers_are_about_latents_in_the_unit_of_the_model(folder, latent, clip, arguments, meaning):
    command, *options = arguments
    shown = run(command, folder, *options)
    assert shown.exit_code == 0, shown.output
    assert " ".join(shown.stdout.splitlines()[1:3]).startswith(f"{meaning}; {latent.unit}")
    answer = json.loads(run(command, folder, *options, "--json").stdout)
    assert (answer["meaning"], answer["unit"]) == (meaning, latent.unit)
    assert f"{meaning}; {latent.unit}" in [each.meaning for each in kept(folder, clip)]


def test_what_is_there_without_the_prompt_is_not_called_a_history(folder):
    assert list(json.loads(run("ask", folder, "--json").stdout)["intervals"][0]["mean"]) == ["no prompt", "prompt"]
