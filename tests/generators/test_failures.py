"""Devices, memory and requests that fail: one true sentence, exit status 2, and nothing half-written."""

from contextlib import suppress
from types import SimpleNamespace

import pytest
import torch
from refusing import refused

import tagxai
from tagxai.contract.request import Request
from tagxai.contract.state import neutral_torch
from tagxai.errors import TagxaiError
from tagxai.explaining.loading import load_generator
from tagxai.generators.transformers.model import TransformersGenerator
from tagxai.probing.edits import Gate

# -- devices and memory ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("device", ["cuda", "cuda:7"])
@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("Found no NVIDIA driver on your system.", "and this machine has no NVIDIA driver"),
        ("The NVIDIA driver on your system is too old (found version 11040).", "driver is older than that needs"),
        ("No CUDA GPUs are available", "and finds no GPU"),
    ],
)
def test_cuda_without_a_driver_is_one_sentence(device, answer, reason, random_model, tmp_path, monkeypatch):
    def init():
        raise RuntimeError(answer)

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "init", init)
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setattr(torch.version, "hip", None)
    said = refused(tmp_path, f"musicgen:{random_model}", "--device", device)
    assert said.startswith("there is no cuda device that torch can use: this torch is built for CUDA 13.0, ")
    assert said.endswith(f"{reason}; use --device cpu")
    with pytest.raises(TagxaiError, match="no cuda device that torch can use"):
        load_generator(f"musicgen:{random_model}", device=device)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--device", "banana"), "no device named 'banana'; choices: auto, cpu, cuda, cuda:0, mps, sharded"),
        (
            ("--dtype", "float8"),
            "no dtype named 'float8'; did you mean 'float32'? choices: auto, bfloat16, float16, float32, int8",
        ),
    ],
)
def test_a_device_or_dtype_that_does_not_exist_is_one_sentence(options, sentence, tmp_path):
    assert refused(tmp_path, "tiny", *options) == sentence


@pytest.mark.parametrize(
    ("ask", "sentence"),
    [
        (lambda model: model.generate_many(["rain"]), "clips are made from Request, not str 'rain'; for a prompt, "),
        (lambda model: model.generate_many("rain"), "clips are made from a list of Request, not str; for a prompt, "),
        (lambda model: model.generate_many(None), "clips are made from a list of Request, not NoneType; "),
        (lambda model: model.generate_many(requests=[3]), "clips are made from Request, not int 3; "),
        (lambda model: model.encode_prompt([]), "there is nothing to encode in an empty list of prompts; "),
        (lambda model: model.encode_prompt("rain"), "prompts to encode come as a list, such as ['rain'], not as str "),
        (lambda model: model.encode_prompt([None]), "each prompt to encode must be text, not NoneType None"),
        (lambda model: Gate(torch.ones(1, 2, 3, 4)), "a gate is a tensor [steps, tokens] or [batch, steps, tokens], "),
    ],
)
@pytest.mark.parametrize("spec", ["tiny", "analytic"])
def test_what_is_no_request_or_prompt_is_one_sentence_for_every_generator(spec, ask, sentence):
    if spec not in tagxai.registry().generators:
        pytest.skip("a plugin")
    with pytest.raises(TagxaiError) as raised:
        ask(load_generator(spec))
    assert str(raised.value).startswith(sentence)


@pytest.mark.parametrize("spec", ["tiny", "analytic"])
@pytest.mark.parametrize(
    ("device", "sentence"),
    [
        ("cuda:3", "^there is no device 'cuda:3': torch finds 2, from cuda:0 to cuda:1$"),
        ("gpu", "^no device named 'gpu'"),
        ("meta", "^no device named 'meta'"),
        ("mps", "no mps device"),
    ],
)
def test_a_device_that_is_not_there_is_one_sentence_for_every_generator(spec, device, sentence, monkeypatch):
    if spec not in tagxai.registry().generators:
        pytest.skip("a plugin")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(TagxaiError, match=sentence):
        load_generator(spec, device=device)


def test_a_dtype_that_no_model_computes_in_is_one_sentence():
    with pytest.raises(TagxaiError, match=r"^no dtype named 'int4'; choices: bfloat16, float16, float32, float64$"):
        load_generator("tiny", dtype="int4")


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"prompt": 3}, "the prompt must be text, not int 3"),
        ({"prompt": "rain", "mask": [[1.0]]}, "the mask must be a tensor [positions, tokens], not list"),
        ({"prompt": "rain", "duration": "3"}, "the duration must be a number of seconds, not '3'"),
        ({"prompt": "rain", "seed": "3"}, "the seed must be a whole number from 0 to 2^63 - 1, not '3'"),
        ({"prompt": "rain", "seed": 1.5}, "the seed must be a whole number from 0 to 2^63 - 1, not 1.5"),
        ({"prompt": "rain", "seed": -1}, "the seed must be a whole number from 0 to 2^63 - 1, not -1"),
    ],
)
def test_a_request_of_another_type_is_one_sentence(given, sentence):
    """Without its constructor, whose types are checked in these tests alone."""
    with pytest.raises(TagxaiError) as raised:
        Request.__post_init__(
            SimpleNamespace(**{"branch": "guided", "duration": None, "seed": 0, "mask": None, **given})
        )
    assert str(raised.value) == sentence


def out_of_memory(*_, **__):
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")


def out_of_host_memory(*_, **__):
    raise RuntimeError("[enforce fail at alloc_cpu.cpp:124] DefaultCPUAllocator: can't allocate memory: 9 bytes")


@pytest.mark.parametrize("fail", [out_of_memory, out_of_host_memory])
def test_out_of_memory_while_moving_is_not_blamed_on_the_folder(fail, random_model, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.nn.Module, "to", fail)
    found = refused(tmp_path, f"musicgen:{random_model}")
    assert f"there is not enough memory for model '{random_model}' on device 'cpu'; use --dtype" in found


@pytest.mark.parametrize("fail", [out_of_memory, out_of_host_memory])
def test_out_of_memory_while_generating_or_explaining_is_one_sentence(fail, random_model, tmp_path, monkeypatch):
    from tagxai.generators.codes.stream import Stream

    with monkeypatch.context() as patch:
        patch.setattr(Stream, "sample", fail)
        assert "there is not enough memory to make audio; use" in refused(tmp_path, f"musicgen:{random_model}")
    monkeypatch.setattr(TransformersGenerator, "forward", fail)
    monkeypatch.setattr(TransformersGenerator, "hidden_states", fail)
    sentence = "there is not enough memory for method 'cross_attention'; explain a shorter clip"
    assert sentence in refused(tmp_path, f"musicgen:{random_model}")


def test_a_failed_load_leaves_the_callers_defaults(tmp_path):
    torch.set_default_dtype(torch.float64)
    try:
        with suppress(TagxaiError):
            TransformersGenerator.load(str(tmp_path))
        assert torch.get_default_dtype() == torch.float64
        with neutral_torch():
            assert torch.get_default_dtype() == torch.float32
    finally:
        torch.set_default_dtype(torch.float32)
