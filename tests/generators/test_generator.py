"""The transformers adapter: against transformers' own generation, its own batches, and slow literal definitions."""

import json
import shutil
from dataclasses import replace

import pytest
import torch

from tagxai.errors import TagxaiError
from tagxai.generators.codes.sampling import draw
from tagxai.generators.transformers.model import TransformersGenerator
from tagxai.testing import random_checkpoint

PROMPT = "a dog barks while rain falls"
TOLERANCE = {"atol": 1e-5, "rtol": 1e-5}


@pytest.fixture(scope="module")
def stereo(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stereo")
    random_checkpoint(folder, channels=2)
    return TransformersGenerator.load(str(folder))


def transformers_codes(generator, prompt, frames, scale):
    """Greedy codes as transformers' own `generate` makes them, caught on their way into the codec."""
    caught = []
    codec, own = generator.model.audio_encoder, generator.model.audio_encoder.decode
    codec.decode = lambda codes, *args, **options: (caught.append(codes[0, 0]), own(codes, *args, **options))[1]
    try:
        inputs = generator.tokenizer([prompt], return_tensors="pt")
        length = frames + generator.codebooks // generator.channels
        generator.model.generate(
            input_ids=inputs["input_ids"],
            attention_mask=inputs["attention_mask"],
            do_sample=False,
            guidance_scale=scale,
            max_length=length,
        )
    finally:
        del codec.decode
    if generator.channels == 1:
        return caught[0]
    return torch.stack([caught[q % 2][q // 2] for q in range(generator.codebooks)])


def test_a_checkpoint_says_how_it_is_to_be_sampled(stereo, tmp_path):
    folder = shutil.copytree(stereo.source, tmp_path / "own")
    file = folder / "generation_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"guidance_scale": 1.75, "temperature": 0.5}))
    clip = TransformersGenerator.load(str(folder)).generate(PROMPT, duration=0.1)
    told = {name: clip.settings[name] for name in ("guidance_scale", "temperature", "top_k")}
    assert told == {"guidance_scale": 1.75, "temperature": 0.5, "top_k": 250}
    assert stereo.generate(PROMPT, duration=0.1, guidance_scale=2.0).settings["guidance_scale"] == 2.0


@pytest.mark.parametrize("scale", [1.0, 3.0])
@pytest.mark.parametrize("which", ["generator", "stereo"])
def test_greedy_codes_are_those_of_transformers_own_generate(request, which, scale):
    model = request.getfixturevalue(which)
    ours = model.generate(PROMPT, duration=0.8, temperature=0.0, guidance_scale=scale)
    assert torch.equal(ours.record["codes"], transformers_codes(model, PROMPT, ours.frames, scale))


def test_the_same_seed_repeats_bit_for_bit_and_another_does_not(generator):
    first, again, other = (generator.generate(PROMPT, duration=0.6, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(first.record["codes"], again.record["codes"])
    assert torch.equal(first.waveform, again.waveform)
    assert not torch.equal(first.record["codes"], other.record["codes"])


def test_sampling_leaves_the_global_random_state_alone(generator):
    before = torch.random.get_rng_state()
    generator.generate(PROMPT, duration=0.2, seed=9)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_a_clip_has_the_length_that_was_asked_for(generator, stereo):
    for model, channels in ((generator, 1), (stereo, 2)):
        clip = model.generate(PROMPT, duration=1.2)
        assert clip.waveform.shape == (channels, round(1.2 * model.sample_rate))
        assert clip.duration == pytest.approx(1.2)


@pytest.mark.parametrize("branch", ["conditional", "unconditional", "guided"])
@pytest.mark.parametrize("which", ["generator", "stereo"])
def test_log_probabilities_are_those_of_a_slow_step_by_step_pass(request, which, branch):
    """Literal definition: for each code, run the columns before its step and read one softmax."""
    model = request.getfixturevalue(which)
    clip = model.generate(PROMPT, duration=0.24, seed=4)
    scored = model.forward(clip, branch=branch).log_prob[0]
    embeddings = model.encode_prompt([PROMPT]).embeddings
    columns = torch.full((model.codebooks, clip.positions + 1), model.pad)
    for q, delay in enumerate(clip.timeline.delays):
        columns[q, 1 + delay : 1 + delay + clip.frames] = clip.record["codes"][q]

    def logits(step, q, text):
        output = model.model.decoder.model(input_ids=columns[:, : step + 1], encoder_hidden_states=text)
        return model.model.decoder.lm_heads[q](output.last_hidden_state[0, -1])

    with torch.no_grad():
        for q, delay in enumerate(clip.timeline.delays):
            for frame in range(clip.frames):
                conditional = logits(frame + delay, q, embeddings)
                unconditional = logits(frame + delay, q, None)
                mixed = unconditional + 3.0 * (conditional - unconditional)
                chosen = {"conditional": conditional, "unconditional": unconditional, "guided": mixed}[branch]
                expected = chosen.log_softmax(-1)[clip.record["codes"][q, frame]]
                torch.testing.assert_close(scored[q, frame], expected, atol=1e-4, rtol=1e-4)


def test_nothing_depends_on_padding_or_batch_mates(generator, generation):
    prompts = [PROMPT, "rain", "the sound of a siren followed by thunder and birds"]
    together = generator.encode_prompt(prompts)
    batch = generator.forward(generation, together)
    for row, prompt in enumerate(prompts):
        alone = generator.encode_prompt([prompt])
        length = alone.embeddings.shape[1]
        torch.testing.assert_close(together.embeddings[row : row + 1, :length], alone.embeddings, **TOLERANCE)
        assert together.tokens[row] == alone.tokens[0]
        assert together.spans[row] == alone.spans[0]
        single = generator.forward(generation, alone)
        torch.testing.assert_close(batch.log_prob[row], single.log_prob[0], **TOLERANCE)
        torch.testing.assert_close(batch.hidden[row], single.hidden[0], **TOLERANCE)


def test_isolated_steps_are_sequences_of_length_one(generator, generation):
    isolated = generator.isolated_states(generation, generator.encode_prompt([PROMPT]))[0]
    embeddings = generator.encode_prompt([PROMPT]).embeddings
    column = generation.record["codes"][:, :1].clone()  # step 1 reads frame 0 of codebook 0, and padding of the others
    column[1:] = generator.pad
    alone = generator.model.decoder.model(input_ids=column, encoder_hidden_states=embeddings).last_hidden_state
    torch.testing.assert_close(isolated[1], alone[0, 0], **TOLERANCE)


def test_token_spans_point_at_the_prompts_characters(generator):
    clip = generator.generate("  A dog   barks", duration=0.1)
    for token, (start, end) in zip(clip.tokens, clip.spans, strict=True):
        text = clip.prompt[start:end]
        assert text == text.strip()
        assert token in ("</s>", "<unk>") or token.lstrip("▁") == text
    assert clip.tokens[-1] == "</s>"
    assert clip.spans[-1] == (len(clip.prompt),) * 2


def test_top_k_never_draws_a_less_likely_code():
    logits = torch.tensor([[0.0, 3.0, 2.0, 1.0]]).repeat(200, 1)
    drawn = draw(logits, 2, 1.0, torch.Generator().manual_seed(0))
    assert set(drawn.tolist()) == {1, 2}


def test_temperature_zero_is_greedy():
    assert draw(torch.tensor([[0.0, 3.0], [1.0, 0.0]]), 0, 0.0, torch.Generator()).tolist() == [1, 0]


@pytest.mark.parametrize("duration", [0.0, -1.0, 0.001, 1e6, 1e308, float("nan"), float("inf")])
def test_an_impossible_duration_is_one_sentence(generator, duration):
    with pytest.raises(TagxaiError, match=r"cannot make .* expected 0\.04 to 3"):
        generator.generate(PROMPT, duration=duration)


@pytest.mark.parametrize("prompt", ["", "  \n"])
def test_an_empty_prompt_is_one_sentence(generator, prompt):
    with pytest.raises(TagxaiError, match="prompt is empty"):
        generator.generate(prompt)


def test_a_prompt_too_long_for_memory_is_one_sentence(generator):
    with pytest.raises(TagxaiError, match=r"^the prompt has \d+ tokens; expected at most 4096$"):
        generator.encode_prompt(["dog " * 5000])


def test_a_hub_model_without_network_or_cache_is_one_sentence():
    with pytest.raises(TagxaiError, match="no local copy, and no network"):
        TransformersGenerator.load("tagxai-tests/no-such-model")


def test_a_folder_without_a_model_is_one_sentence(tmp_path):
    with pytest.raises(TagxaiError, match=r"does not hold a MusicGen model: it is empty$"):
        TransformersGenerator.load(str(tmp_path))
    (tmp_path / "notes.txt").write_text("no model")
    with pytest.raises(TagxaiError, match=r"does not hold a MusicGen model: it has no config\.json$"):
        TransformersGenerator.load(str(tmp_path))
    with pytest.raises(TagxaiError, match="expected a folder in transformers format or a hub id"):
        TransformersGenerator.load(str(tmp_path / "missing"))


def test_a_codec_that_does_not_fit_its_decoder_is_one_sentence(random_model, tmp_path):
    copy = shutil.copytree(random_model, tmp_path / "copy")
    config = json.loads((copy / "config.json").read_text())
    config["decoder"]["audio_channels"] = 2  # two codebooks a side, for a codec of four
    (copy / "config.json").write_text(json.dumps(config))
    with pytest.raises(TagxaiError, match="codec and language model do not fit: 4 and 2 codebooks"):
        TransformersGenerator.load(str(copy))


def test_weights_are_frozen(generator):
    assert not any(parameter.requires_grad for parameter in generator.model.parameters())
    assert not generator.model.training


def test_the_guided_branch_uses_the_clips_own_scale(generator):
    clip = generator.generate(PROMPT, duration=0.2, guidance_scale=1.0)
    guided, conditional = (generator.forward(clip, branch=branch).log_prob for branch in ("guided", "conditional"))
    torch.testing.assert_close(guided, conditional, **TOLERANCE)  # at scale 1 they are one


@pytest.mark.parametrize(
    "wrong",
    [
        {"temperature": -1.0},
        {"temperature": float("nan")},
        {"guidance_scale": float("inf")},
        {"seed": -1},
        {"seed": 2**63},
    ],
)
def test_sampling_settings_that_are_no_numbers_are_one_sentence(generator, wrong):
    with pytest.raises(TagxaiError, match="must be"):
        generator.generate(PROMPT, duration=0.2, **wrong)


def test_a_temperature_close_to_zero_is_greedy(generator):
    cold, greedy = (generator.generate(PROMPT, duration=0.4, temperature=t).record["codes"] for t in (1e-6, 0.0))
    assert torch.equal(cold, greedy)


def test_other_codes_are_another_sound(generator, generation):
    other = generator.decode(replace(generation, record={"codes": (generation.record["codes"] + 1) % 64}))
    assert (other - generation.waveform).abs().max() > 1e-3


def test_loading_leaves_the_global_random_state_alone(random_model):
    before = torch.random.get_rng_state()
    TransformersGenerator.load(str(random_model))
    assert torch.equal(torch.random.get_rng_state(), before)
