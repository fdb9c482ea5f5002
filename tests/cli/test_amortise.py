"""`tagxai amortise`: a network from a list of prompts, which explains; and what it refuses."""

import pytest
from cli_helpers import run

from tagxai import storage


@pytest.fixture(scope="module")
def prompts(tmp_path_factory):
    path = tmp_path_factory.mktemp("prompts") / "prompts.txt"
    path.write_text("a dog barks\nrain\nrain falls while a dog barks\na bell\n")
    return path


def test_a_network_is_trained_resumed_and_explains(random_model, prompts, tmp_path):
    network = tmp_path / "network"
    command = ["amortise", f"musicgen:{random_model}", "--prompts", prompts, "--out", network, "--duration", "0.3"]
    command += ["--teacher", "cross_attention", "--set", "layers=0", "--epochs", "2", "--units", "4", "--clusters", "2"]
    trained = run(*command)
    assert trained.exit_code == 0, trained.output
    assert "Learned from 3 prompts; on 1 others it misses" in trained.stdout
    assert "cluster" in trained.stdout
    assert storage.read_json(network / "amortised.json")["teacher"]["settings"]["layers"] == "0"
    weights = (network / "explainer.safetensors").read_bytes()
    assert run(*command).exit_code == 0
    assert (network / "explainer.safetensors").read_bytes() == weights

    explained = run(
        *("explain", "a dog barks", "--generator", f"musicgen:{random_model}", "--duration", "0.3"),
        *("--method", f"amortised:{network / 'explainer.safetensors'}", "--out", tmp_path / "out"),
    )
    assert explained.exit_code == 0, explained.output
    assert "dog" in explained.stdout


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--clusters", "1"], "--clusters takes 0, for one network, or at least 2; not 1"),
        (["--limit", "2"], "a network learns from at least 3 prompts, not 2"),
        (["--teacher", "shaply"], "did you mean 'shapley'?"),
        (["--prompts", "none.txt"], "file 'none.txt' does not exist"),
    ],
)
def test_what_cannot_be_is_one_sentence_and_leaves_nothing(random_model, prompts, tmp_path, options, sentence):
    network = tmp_path / "network"
    found = run("amortise", f"musicgen:{random_model}", "--prompts", prompts, "--out", network, *options)
    assert found.exit_code == 2
    assert sentence in found.stderr
    assert not network.exists()
