"""The estimate of a run's memory, against what a process really took at its peak."""

import ctypes
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tagxai.cli import options
from tagxai.contract import workload
from tagxai.contract.workload import MARGIN, Workload
from tagxai.errors import TagxaiError
from tagxai.explaining.estimate import Estimate, estimate
from tagxai.generators.transformers.model import TransformersGenerator
from tagxai.methods.audiogenx import AudioGenX
from tagxai.methods.input_x_gradient import InputXGradient
from tagxai.methods.shapley import Shapley
from tagxai.scoring import leave_one_out, score
from tagxai.testing import random_checkpoint
from tagxai.text.words import words

PROMPT = "a dog barks while rain falls"


@pytest.fixture(scope="module")
def deep(tmp_path_factory):
    """Narrow, but deep and long enough that activations are far more than what else a pass takes."""
    folder = tmp_path_factory.mktemp("deep")
    random_checkpoint(folder, layers=24, width=128, heads=4, max_steps=256)
    return TransformersGenerator.load(str(folder))


@pytest.fixture(scope="module")
def clip(deep):
    """250 frames of codes that nobody needed to generate."""
    codes = torch.randint(64, (4, 250), generator=torch.Generator().manual_seed(0))
    return replace(
        deep.generate(PROMPT, duration=0.04),
        record={"codes": codes},
        timeline=replace(deep.timeline(0.04), frames=codes.shape[1]),
    )


def cut(clip, frames):
    codes = clip.record["codes"][:, :frames]
    return replace(clip, record={"codes": codes}, timeline=replace(clip.timeline, frames=frames))


def peak_of(work):
    """Bytes that the process had at its peak while `work` ran, beyond what it had before (Linux)."""
    ctypes.CDLL("libc.so.6").malloc_trim(0)  # what was freed, and kept by the allocator, would be used again unseen
    Path("/proc/self/clear_refs").write_text("5")
    before = status("VmRSS")
    work()
    return status("VmHWM") - before


def status(field):
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(field)).split()[1]) * 1024


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="peak memory is read as Linux tells it")
@pytest.mark.parametrize(
    ("method", "frames"),
    [
        (AudioGenX(epochs=1), 250),
        (AudioGenX(epochs=1, explainer="mlp"), 100),
        (AudioGenX(epochs=1, mode="reference", hidden_units=8), 50),
        (InputXGradient(), 150),
    ],
    ids=["audiogenx", "audiogenx_mlp", "audiogenx_reference", "input_x_gradient"],
)
def test_the_estimate_is_right_within_its_margin(deep, clip, method, frames):
    generation = cut(clip, frames)
    method.attribute(deep, cut(clip, 2))  # first calls load kernels
    work = Workload.of(deep, generation.positions, deep.encode_prompt([PROMPT]))
    estimated, found = method.peak_memory(work), peak_of(lambda: method.attribute(deep, generation))
    assert found > 20e6  # more than the noise of such a measurement
    assert 1 / MARGIN < estimated / found < MARGIN, (estimated / 1e6, found / 1e6)


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="peak memory is read as Linux tells it")
def test_scoring_takes_what_its_batch_is_estimated_to_take(deep, clip):
    units = words(clip.prompt, clip.spans, clip.tokens)
    masks = leave_one_out(len(units))
    score(deep, cut(clip, 2), units, masks[:1])
    work = Workload.of(deep, clip.positions, deep.encode_prompt([PROMPT]))
    found = peak_of(lambda: score(deep, clip, units, masks, batch_size=len(masks)))
    assert 1 / MARGIN < work.forward(len(masks)) / found < MARGIN, (work.forward(len(masks)) / 1e6, found / 1e6)


def test_forward_mode_is_estimated_by_the_batch_that_it_runs_whatever_the_prompts_length(deep):
    work = replace(Workload.of(deep, 1500, deep.encode_prompt([PROMPT])), tokens=60)
    assert work.batch == 2
    assert InputXGradient().peak_memory(work) == work.tangents(2) == 2 * work.tangents(1)


def test_weights_are_those_of_all_models_counted_once(generator):
    counted = sum(t.numel() * 4 for t in generator.model.parameters())
    buffers = sum(t.numel() * t.element_size() for t in generator.model.buffers())
    assert workload.stored_bytes(generator) == counted + buffers


def test_bfloat16_takes_less_than_float32(random_model, generator):
    lower = TransformersGenerator.load(str(random_model), dtype="bfloat16")
    assert workload.stored_bytes(lower) < workload.stored_bytes(generator)
    first, second = (estimate(g, PROMPT, 1.0, AudioGenX()) for g in (lower, generator))
    assert first.needed < second.needed


def test_scoring_takes_smaller_batches_where_little_is_free(generator, generation, monkeypatch):
    units = words(generation.prompt, generation.spans, generation.tokens)
    masks = leave_one_out(len(units))
    work = Workload.of(generator, generation.positions, generator.encode_prompt([PROMPT]))
    sizes = []
    plain = generator.forward
    monkeypatch.setattr(generator, "forward", lambda *a, **o: sizes.append(len(a[1])) or plain(*a, **o))
    monkeypatch.setattr("tagxai.scoring.passes.free", lambda device: int(2.5 * MARGIN * work.forward(1)))
    table = score(generator, generation, units, masks)
    assert max(sizes) == 2
    monkeypatch.setattr("tagxai.scoring.passes.free", lambda device: None)
    torch.testing.assert_close(table.log_prob, score(generator, generation, units, masks).log_prob)
    assert max(sizes) == len(masks)


def test_a_run_that_cannot_fit_is_refused_in_one_sentence_before_it_starts(generator, monkeypatch, capsys):
    encoded = generator.encode_prompt([PROMPT])
    monkeypatch.setattr("tagxai.explaining.estimate.free", lambda device: 1000)
    with pytest.raises(
        TagxaiError, match=r"needs about .* beside the model's weights, and .* are free; .*--no-memory-check"
    ) as e:
        options.check_memory(generator, encoded, None, Shapley(), refuse=True)
    assert "\n" not in str(e.value)
    options.check_memory(generator, encoded, None, Shapley(), refuse=False)
    monkeypatch.setattr("tagxai.explaining.estimate.free", lambda device: None)
    options.check_memory(generator, encoded, None, Shapley(), refuse=True)  # unknown: not for us to refuse
    assert capsys.readouterr().err == ""  # too small a run to speak of
    monkeypatch.setattr(options, "LARGE", 0)
    options.check_memory(generator, encoded, None, Shapley(), refuse=True)
    assert "memory: about" in capsys.readouterr().err


def test_what_might_fit_within_the_margin_is_not_refused():
    Estimate(weights=0, generating=100, explaining=int(90 * MARGIN), free=91).check()
    with pytest.raises(TagxaiError):
        Estimate(weights=0, generating=100, explaining=int(93 * MARGIN), free=91).check()


def test_free_memory_is_the_systems_or_the_containers_whichever_is_less(tmp_path, monkeypatch):
    (tmp_path / "meminfo").write_text("MemTotal: 9000 kB\nMemAvailable:    4000 kB\n")
    monkeypatch.setattr(workload, "_SYSTEM", tmp_path / "meminfo")
    monkeypatch.setattr(workload, "_CONTAINER", tmp_path)
    cpu = torch.device("cpu")
    assert workload.free(cpu) == 4000 * 1024
    (tmp_path / "memory.max").write_text("2000000")
    (tmp_path / "memory.current").write_text("1500000")
    (tmp_path / "memory.stat").write_text("anon 9\ninactive_file 100000\n")
    assert workload.free(cpu) == 600_000
    (tmp_path / "memory.max").write_text("max")
    assert workload.free(cpu) == 4000 * 1024
    monkeypatch.setattr(workload, "_SYSTEM", tmp_path / "none")
    assert workload.free(cpu) is None
