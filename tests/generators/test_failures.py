"""Failures where they arise: one true sentence on the command line, exit status 2, and nothing half-written."""

import errno
import json
import shutil
from contextlib import suppress
from types import SimpleNamespace

import pytest
import torch
from record_access import command
from safetensors.torch import load_file, save_file

import tagxai
from tagxai.contract.request import Request
from tagxai.contract.state import neutral_torch
from tagxai.errors import TagxaiError
from tagxai.explaining.loading import load_generator
from tagxai.generators.transformers.model import TransformersGenerator
from tagxai.methods.cross_attention import CrossAttention
from tagxai.methods.occlusion import Occlusion
from tagxai.probing.edits import Gate

FEED_FORWARD = "decoder.model.decoder.layers.0.fc1.weight"
CODEC = "audio_encoder.decoder.layers.0.conv.bias"


def refused(tmp_path, spec, *options, prompt="a dog barks"):
    """The sentence that `tagxai explain` stops with."""
    out = tmp_path / "out" / "deeper"
    result = command("explain", prompt, "-g", spec, "-m", "cross_attention", "-d", "0.2", "-o", out, *options)
    assert result.exit_code == 2, result.output
    assert not (tmp_path / "out").exists()
    assert "Traceback" not in result.output
    lines = result.stderr.strip().splitlines()
    return " ".join(lines)


@pytest.fixture
def changed(random_model, tmp_path):
    """A function that changes weights of a copy of the random checkpoint and gives the copy's folder."""

    def change(edit):
        folder = shutil.copytree(random_model, tmp_path / "changed")
        weights = load_file(folder / "model.safetensors")
        edit(weights)
        save_file(weights, folder / "model.safetensors", {"format": "pt"})
        return folder

    return change


# -- numbers ---------------------------------------------------------------------------------------------------------


def put(name, value):
    def edit(weights):
        weights[name].view(-1)[0] = value

    return edit


def scaled(factor, *names):
    def edit(weights):
        for name in names:
            weights[name].mul_(factor)

    return edit


UP_DOWN = (FEED_FORWARD, FEED_FORWARD.replace("fc1", "fc2"))


@pytest.mark.parametrize(
    ("edit", "dtype", "sentence"),
    [
        (put(FEED_FORWARD, torch.nan), "float32", f"'{FEED_FORWARD}' holds NaN, so its checkpoint is damaged"),
        (put(CODEC, torch.nan), "bfloat16", f"'{CODEC}' holds NaN, so its checkpoint is damaged"),
        (put(FEED_FORWARD, -torch.inf), "float32", f"'{FEED_FORWARD}' holds infinity, so its checkpoint is damaged"),
        (put(FEED_FORWARD, 1e6), "float16", f"'{FEED_FORWARD}' holds infinity; if its checkpoint is whole, --dtype bf"),
        (scaled(3e4, *UP_DOWN), "float16", "logits at step 0 that are not finite in float16; float16 holds no number "),
    ],
    ids=["nan", "nan in the codec", "infinity", "too large for float16", "overflow in float16"],
)
def test_numbers_that_are_not_finite_are_named_with_their_cause(edit, dtype, sentence, changed, tmp_path):
    assert sentence in refused(tmp_path, f"musicgen:{changed(edit)}", "--dtype", dtype)


def test_what_overflows_in_float16_is_made_in_bfloat16(changed, tmp_path):
    folder = changed(scaled(3e4, *UP_DOWN))
    out = tmp_path / "out"
    result = command("generate", "rain", "-g", f"musicgen:{folder}", "-d", "0.2", "-o", out, "--dtype", "bfloat16")
    assert result.exit_code == 0


@pytest.fixture
def own(random_model):
    """A model whose weights a test may break after it was loaded."""
    return TransformersGenerator.load(str(random_model))


@pytest.mark.parametrize(
    ("name", "call", "what"),
    [
        ("text_encoder.shared.weight", lambda model, clip: model.encode_prompt(["rain"]), "embeddings of the prompt"),
        (FEED_FORWARD, lambda model, clip: model.forward(clip), "hidden states"),
        (FEED_FORWARD, lambda model, clip: model.hidden_states(clip), "hidden states"),
        ("decoder.lm_heads.0.weight", lambda model, clip: model.forward(clip), "log-probabilities"),
        (FEED_FORWARD, lambda model, clip: CrossAttention().attribute(model, clip), "hidden states"),
        (FEED_FORWARD, lambda model, clip: Occlusion().attribute(model, clip), "hidden states"),
        (CODEC, lambda model, clip: model.decode(clip), "audio samples"),
        (CODEC, lambda model, clip: model.generate("rain", duration=0.2), "audio samples"),
    ],
)
def test_weights_that_break_after_loading_are_named_where_they_are_used(name, call, what, own):
    clip = own.generate("a dog barks", duration=0.2)
    with torch.no_grad():
        own.model.get_parameter(name).fill_(torch.nan)
    with pytest.raises(TagxaiError, match=rf"computed {what} that are not finite in float32; '[\w.]+' holds NaN"):
        call(own, clip)


def test_a_guidance_scale_that_would_overflow_is_refused(generator):
    with pytest.raises(TagxaiError, match=r"^guidance_scale takes 0, or a size from 1e-06 to 1e\+06, not 1e\+300"):
        generator.generate("rain", duration=0.2, guidance_scale=1e300)


def test_an_edit_that_makes_numbers_not_finite_is_not_blamed_on_the_weights(generator, generation):
    from tagxai.contract.attention import edit_attention

    with (
        edit_attention(generator.cross_attention(), lambda site, weights: weights / 0),
        pytest.raises(TagxaiError, match="attention edits in use may be the cause"),
    ):
        generator.forward(generation)


# -- other folders ---------------------------------------------------------------------------------------------------


def with_config(**content):
    return lambda folder: (folder / "config.json").write_text(json.dumps(content))


def of_files(*names):
    return lambda folder: [(folder / name).write_bytes(b"") for name in names]


def of_text(name, text):
    return lambda folder: (folder / name).write_text(text)


FOLDERS = {
    "melody": (
        with_config(architectures=["MusicgenMelodyForConditionalGeneration"], model_type="musicgen_melody"),
        "is not a MusicgenForConditionalGeneration: it holds a MusicgenMelodyForConditionalGeneration; the generator "
        "'melody' of the plugin tagxai-melody reads it",
    ),
    "audiocraft": (
        of_files("state_dict.bin", "compression_state_dict.bin"),
        "does not hold a MusicGen model: it holds a model in audiocraft's format; the generators 'audiogen' and",
    ),
    "diffusers": (
        of_text("model_index.json", '{"_class_name": "StableAudioPipeline"}'),
        "does not hold a MusicGen model: it holds a diffusers pipeline (StableAudioPipeline)",
    ),
    "classifier": (
        with_config(architectures=["BertForSequenceClassification"], model_type="bert"),
        "it holds a BertForSequenceClassification",
    ),
    "adapter": (of_text("adapter_config.json", "{}"), "it holds an adapter without its model"),
    "explanation": (of_text("explanation.json", "{}"), "it holds an explanation by tagxai, not a model"),
    "empty": (lambda folder: None, "does not hold a MusicGen model: it is empty"),
    "text": (of_text("notes.txt", "no model"), "does not hold a MusicGen model: it has no config.json"),
    "no JSON": (of_text("config.json", "{"), "its config.json is damaged: it is not JSON"),
}


@pytest.mark.parametrize("kind", FOLDERS)
def test_another_kind_of_folder_is_named_as_what_it_is(kind, tmp_path):
    make, sentence = FOLDERS[kind]
    folder = tmp_path / "model"
    folder.mkdir()
    make(folder)
    assert sentence in refused(tmp_path, f"musicgen:{folder}")


def test_a_model_in_transformers_format_given_to_audiogen_names_who_reads_it(random_model, tmp_path):
    pytest.importorskip("audiocraft")
    sentence = "it holds a MusicgenForConditionalGeneration; the generator 'musicgen' reads it"
    assert sentence in refused(tmp_path, f"audiogen:{random_model}")


@pytest.mark.parametrize("file", ["model.safetensors", "tokenizer.json"])
def test_a_folder_with_a_file_cut_short_is_one_sentence(file, random_model, tmp_path):
    folder = shutil.copytree(random_model, tmp_path / "copy")
    (folder / file).write_bytes((folder / file).read_bytes()[:1000])
    found = refused(tmp_path, f"musicgen:{folder}")
    assert f"'{folder}'" in found
    assert "damaged" in found or "does not hold a MusicGen model" in found


@pytest.mark.parametrize(
    ("number", "sentence"), [(errno.EACCES, "Permission denied"), (errno.ENOSPC, "No space left on device")]
)
def test_what_the_operating_system_refuses_is_not_blamed_on_the_model(
    number, sentence, random_model, tmp_path, monkeypatch
):
    from transformers import AutoTokenizer

    def fail(source, **options):
        try:
            raise OSError(number, sentence, f"{source}/tokenizer.json")
        except OSError as error:
            raise RuntimeError("the tokenizer cannot be made") from error  # as transformers wraps it

    monkeypatch.setattr(AutoTokenizer, "from_pretrained", fail)
    found = refused(tmp_path, f"musicgen:{random_model}")
    assert found.endswith(f"{random_model}/tokenizer.json: {sentence}")


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
    ],
)
def test_a_request_of_another_type_is_one_sentence(given, sentence):
    """Without its constructor, whose types are checked in these tests alone."""
    with pytest.raises(TagxaiError) as raised:
        Request.__post_init__(SimpleNamespace(branch="guided", seed=0, **given))
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
