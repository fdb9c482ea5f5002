"""`tagxai check generator` of models of each family, and of what breaks its contract."""

import json

import pytest
import torch
from cli_helpers import run
from small_pipelines import stable_audio

from tagxai.authoring.model_check import check_model
from tagxai.errors import TagxaiError
from tagxai.generators.sources import load_from, no_downloads
from tagxai.generators.transformers.model import TransformersGenerator
from tagxai.testing.golden import differences, fingerprint

STEPS = ["load", "contract", "fingerprint", "time", "explanation", "memory"]


def outcomes(said):
    rows = [line.split(" | ") for line in said.splitlines() if line.startswith("| ")]
    return {row[0].strip("| "): row[1] for row in rows}


def test_a_checkpoint_of_transformers_passes_and_its_report_can_be_pasted(random_model, tmp_path):
    golden = tmp_path / "golden.json"
    given = ["check", "generator", f"musicgen:{random_model}", "--device", "cpu", "-d", 0.4, "-m", "cross_attention"]
    made = run(*given, "--golden", golden)
    assert made.exit_code == 0, made.output
    said = outcomes(made.stdout)
    assert [said[step] for step in STEPS] == ["ok"] * len(STEPS)
    for fact in ("model", "offers", "device", "versions"):
        assert fact in said
    content = json.loads(golden.read_text())
    again = run(*given, "--golden", golden)
    assert again.exit_code == 0, again.output
    assert "as expected, bit for bit" in again.stdout
    golden.write_text(json.dumps(content | {"record": "0", "log_prob": content["log_prob"] * 2}))
    other = run(*given, "--golden", golden)
    assert other.exit_code == 1
    assert outcomes(other.stdout)["fingerprint"] == "FAILED"
    golden.write_text("{}")
    assert "is no fingerprint" in run(*given, "--golden", golden).stderr


def test_a_checkpoint_of_audiocraft_passes(audiocraft_model):
    made = run("check", "generator", f"audiogen:{audiocraft_model}", "-d", 0.4, "-m", "cross_attention")
    assert made.exit_code == 0, made.output
    assert [outcomes(made.stdout)[step] for step in STEPS] == ["ok"] * len(STEPS)


@pytest.mark.slow
def test_a_pipeline_of_diffusers_passes(tmp_path):
    pytest.importorskip("diffusers")
    stable_audio().save_pretrained(tmp_path)
    made = run("check", "generator", f"stable_audio:{tmp_path}", "-d", 0.4, "-m", "cross_attention")
    assert made.exit_code == 0, made.output
    assert [outcomes(made.stdout)[step] for step in STEPS] == ["ok"] * len(STEPS)


def test_a_model_that_breaks_its_contract_fails_and_the_rest_is_still_checked(random_model):
    class Forgetful(TransformersGenerator):
        """Its clips sound otherwise than their record."""

        def generate_many(self, requests, **options):
            clips = super().generate_many(requests, **options)
            for clip in clips:
                clip.waveform.add_(torch.rand(()))
            return clips

    found = check_model(lambda: Forgetful.load(str(random_model)), duration=0.4, method="cross_attention")
    by_step = {finding.check: finding for finding in found.findings.all}
    assert by_step["contract"].outcome == "FAILED"
    assert "decodes the record to another sound" in by_step["contract"].text
    assert by_step["explanation"].outcome == "ok"
    assert "| contract | FAILED |" in found.markdown("forgetful")


def test_nothing_is_downloaded(monkeypatch):
    def refuse(*arguments, **options):
        raise AssertionError("the hub was asked")

    monkeypatch.setattr("huggingface_hub.HfApi.model_info", refuse)

    def load(name, **options):
        assert options["local_files_only"]
        raise OSError("not here")

    with no_downloads(), pytest.raises(TagxaiError, match="nothing is downloaded here; give a local folder"):
        load_from("nobody/no-such-model", load, what="a model", layout="of files")


def test_a_fingerprint_is_of_the_model_and_forgives_rounding_alone(generator):
    found = fingerprint(generator, 0.4)
    assert found == fingerprint(generator, 0.4)
    assert differences(found, found) == []
    rounded = found | {"record": "other", "log_prob": found["log_prob"] * 1.001}
    assert differences(rounded, found) == []
    (said,) = differences(found | {"tokens": ["a"]}, found)
    assert said.startswith("tokens is ['a']")
    assert differences(found | {"record": "other", "loudness": found["loudness"] * 2}, found)
