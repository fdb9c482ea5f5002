"""A model's identity: another wherever a result would be, and the same wherever the model lies."""

import json
import shutil
from dataclasses import replace

import pytest
import torch

from tagxai import TagxaiError
from tagxai.explaining.making import check_made_by
from tagxai.generators.transformers.model import TransformersGenerator
from tagxai.testing import random_checkpoint

PROMPTS = ["a dog barks while rain falls", "The siren rings, then a bell; followed by thunder!", "s"]


def results(generator):
    """What a model makes and says of some prompts, bit for bit."""
    found = []
    for seed, prompt in enumerate(PROMPTS):
        clip = generator.generate(prompt, duration=0.4, seed=seed)
        found += [clip.record["codes"], clip.waveform, generator.forward(clip).log_prob.detach()]
        found.append(clip.tokens)
    return found, [each.default for each in generator.sampling_settings()], generator.max_duration


def equal(a, b):
    if isinstance(a, torch.Tensor):
        return isinstance(b, torch.Tensor) and a.shape == b.shape and torch.equal(a, b)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(equal, a, b))
    return a == b


def places(size, count=24):
    """Where a file is changed: all over it, and in every region of a small one."""
    return sorted({size * i // count + 7 * i % 11 for i in range(count)} & set(range(size)))


def check_every_file(source, load, tmp_path):
    """Change one byte of one file at a time: whenever the results differ, so does the identity."""
    original = load(str(source))
    expected, identity = results(original), original.identity()
    folder = shutil.copytree(source, tmp_path / "copy")
    assert load(str(folder)).identity() == identity  # a moved model is the same
    outcomes = {}
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        whole = file.read_bytes()
        for place in places(len(whole)):
            changed = bytearray(whole)
            # another digit in text; in numbers, a bit that is neither the sign of NaN nor lost in rounding
            changed[place] = (changed[place] ^ 0x01) if file.suffix == ".json" else changed[place] ^ 0x10
            file.write_bytes(bytes(changed))
            name = str(file.relative_to(folder))
            try:
                other = load(str(folder))
                same = equal(results(other), expected)
            except (TagxaiError, ValueError):  # refused, in a sentence
                outcomes.setdefault(name, []).append("refused")
                continue
            if not same:
                assert other.identity() != identity, f"byte {place} of {name} changes results, not the identity"
                assert not other.identity().same_model(identity)
            outcomes.setdefault(name, []).append("same" if same else "another")
        file.write_bytes(whole)
    return outcomes


@pytest.mark.slow  # loads the model again for each byte of a sample
def test_a_changed_byte_in_any_file_that_changes_a_result_changes_the_identity(random_model, tmp_path):
    outcomes = check_every_file(random_model, TransformersGenerator.load, tmp_path)
    assert set(outcomes) == {path.name for path in random_model.iterdir()}
    assert "another" in outcomes["model.safetensors"]
    assert {"another", "refused"} & set(outcomes["config.json"])


@pytest.mark.slow  # loads the model again for each byte of a sample
def test_of_an_audiocraft_checkpoint_too(audiocraft_model, tmp_path):
    from tagxai.generators.audiocraft.model import AudioGenGenerator

    outcomes = check_every_file(audiocraft_model, AudioGenGenerator.load, tmp_path)
    assert {"state_dict.bin", "compression_state_dict.bin", "t5-small/model.safetensors"} <= set(outcomes)
    assert "another" in outcomes["state_dict.bin"]


SETTINGS = [
    ("config.json", "decoder", "num_attention_heads", 8),
    ("config.json", "decoder", "activation_function", "relu"),
    ("config.json", "decoder", "scale_embedding", True),
    ("config.json", "text_encoder", "layer_norm_epsilon", 0.1),
    ("config.json", "text_encoder", "relative_attention_max_distance", 4),
    ("config.json", "decoder", "layerdrop", 0.5),
    ("config.json", "audio_encoder", "normalize", True),
    ("config.json", "audio_encoder", "pad_mode", "constant"),
    ("generation_config.json", None, "guidance_scale", 5.0),
    ("generation_config.json", None, "top_k", 3),
    ("generation_config.json", None, "temperature", 0.5),
    ("tokenizer_config.json", None, "pad_token", "<unk>"),
    ("tokenizer_config.json", None, "model_max_length", 7),
    ("tokenizer.json", None, "normalizer", {"type": "Lowercase"}),
    ("tokenizer.json", "model", "unk_id", 5),
    ("tokenizer.json", "pre_tokenizer", "prepend_scheme", "never"),
]


@pytest.mark.parametrize(("name", "table", "key", "value"), SETTINGS)
def test_a_setting_of_a_checkpoint_is_part_of_its_identity(name, table, key, value, random_model, generator, tmp_path):
    copy = shutil.copytree(random_model, tmp_path / "copy")
    content = json.loads((copy / name).read_text())
    (content if table is None else content[table])[key] = value
    (copy / name).write_text(json.dumps(content))
    found = TransformersGenerator.load(str(copy)).identity()
    assert found.weights == generator.identity().weights
    assert found.settings != generator.identity().settings


def test_a_weight_changed_in_place_is_another_model(random_model):
    generator = TransformersGenerator.load(str(random_model))
    before = generator.identity()
    assert generator.identity() is before  # computed once
    with torch.no_grad():
        generator.model.decoder.lm_heads[0].weight[0, 0] += 1
    assert generator.identity().weights != before.weights


def test_use_does_not_change_a_model(random_model):
    generator = TransformersGenerator.load(str(random_model))
    results(generator)
    generator.tokenizer(["a", "a dog"], padding=True, truncation=True, max_length=2)
    assert generator.identity() == TransformersGenerator.load(str(random_model)).identity()


def test_half_precision_is_another_result_of_the_same_model(random_model, generator, tmp_path):
    half = TransformersGenerator.load(str(random_model), dtype="bfloat16").identity()
    assert half != generator.identity()
    assert half.same_model(generator.identity())
    other = TransformersGenerator.load(str(random_checkpoint(tmp_path / "other", seed=1)))
    assert not other.identity().same_model(generator.identity())


def test_a_clip_is_refused_by_any_model_but_its_own(generator, generation, tmp_path):
    check_made_by(generator, generation)
    check_made_by(generator, replace(generation, model=None))  # of an earlier version of tagxai
    other = TransformersGenerator.load(str(random_checkpoint(tmp_path / "other", seed=1)))
    with pytest.raises(TagxaiError, match="its weights differ"):
        check_made_by(other, generation)


def test_what_a_generator_keeps_in_private_counts_too(random_model, generator):
    class Private(TransformersGenerator):
        """Keeps what decides its results where nobody looks."""

    other = Private.load(str(random_model))
    assert other.identity() == generator.identity()
    for name, value in (("_strength", 2.0), ("_weights", torch.ones(3)), ("_net", torch.nn.Linear(2, 2))):
        changed = Private.load(str(random_model))
        setattr(changed, name, value)
        assert changed.identity() != generator.identity()
