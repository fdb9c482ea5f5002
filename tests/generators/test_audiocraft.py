"""The audiocraft adapter: against audiocraft's own loading and generation, slow definitions, and an untouched model."""

import copy
import pickle
import sys
from dataclasses import replace

import numpy
import pytest
import torch

from tagxai.contract.attention import edit_attention
from tagxai.errors import TagxaiError, UnsupportedError
from tagxai.generators.audiocraft import attention as audiocraft_attention
from tagxai.generators.audiocraft.model import AudiocraftMusicGenGenerator, AudioGenGenerator
from tagxai.methods.audiogenx import AudioGenX
from tagxai.methods.cross_attention import CrossAttention
from tagxai.methods.input_x_gradient import InputXGradient
from tagxai.methods.shapley import Shapley
from tagxai.probing.edits import Capture, Gate
from tagxai.probing.forward_mode import token_derivatives
from tagxai.testing import check_generator, check_method, random_audiocraft_checkpoint

pytest.importorskip("audiocraft")

PROMPT = "a dog barks while rain falls"
PROMPTS = [PROMPT, "rain", "the sound of a siren followed by thunder and birds"]
TOLERANCE = {"atol": 1e-5, "rtol": 1e-5}


@pytest.fixture
def generator(audiocraft_generator):
    return audiocraft_generator


@pytest.fixture(scope="module")
def generation(audiocraft_generator):
    return audiocraft_generator.generate(PROMPT, duration=0.6, seed=3)


def load_by_audiocraft(folder):
    """What audiocraft's own loader makes of the checkpoint; it finds "t5-small" in the working directory."""
    from audiocraft.models import AudioGen

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        return AudioGen.get_pretrained(str(folder), device="cpu")


@pytest.fixture(scope="module")
def audiogen(audiocraft_model):
    return load_by_audiocraft(audiocraft_model)


def audiocraft_codes(model, prompt, frames, scale):
    from audiocraft.modules.conditioners import ConditioningAttributes

    conditions = [ConditioningAttributes(text={"description": prompt})]
    return model.lm.generate(None, conditions, max_gen_len=frames, use_sampling=False, cfg_coef=scale, check=True)[0]


# -- against audiocraft itself ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", [1.0, 3.0])
@pytest.mark.parametrize("prompt", PROMPTS)
def test_greedy_codes_are_those_of_audiocrafts_own_generate(generator, audiogen, prompt, scale):
    ours = generator.generate(prompt, duration=0.8, temperature=0.0, guidance_scale=scale)
    assert torch.equal(ours.record["codes"], audiocraft_codes(audiogen, prompt, ours.frames, scale))


def test_the_sound_is_that_of_audiocrafts_own_codec(audiogen, generation):
    expected = audiogen.generate_audio(generation.record["codes"][None])[0]
    torch.testing.assert_close(generation.waveform, expected, **TOLERANCE)
    assert generation.waveform.shape == (1, round(0.6 * 16_000))


def test_embeddings_are_those_of_audiocrafts_own_conditioner(generator, audiogen):
    conditioner = audiogen.lm.condition_provider.conditioners["description"]
    expected, mask = conditioner(conditioner.tokenize(PROMPTS))
    ours = generator.encode_prompt(PROMPTS)
    torch.testing.assert_close(ours.embeddings, expected, **TOLERANCE)
    assert torch.equal(ours.mask, mask.bool())


@pytest.mark.parametrize("branch", ["conditional", "unconditional"])
def test_log_probabilities_are_those_of_audiocrafts_own_predictions(generator, audiogen, generation, branch):
    from audiocraft.modules.conditioners import ConditioningAttributes

    text = PROMPT if branch == "conditional" else None
    expected = audiogen.lm.compute_predictions(
        generation.record["codes"][None],
        [ConditioningAttributes(text={"description": text})],
        keep_only_valid_steps=False,
    )
    assert expected.mask.all()
    log_prob = expected.logits.log_softmax(-1).gather(-1, generation.record["codes"][None, ..., None])[..., 0]
    torch.testing.assert_close(generator.forward(generation, branch=branch).log_prob, log_prob, **TOLERANCE)


def test_a_model_that_audiocraft_loaded_can_be_wrapped_and_given_back(audiocraft_model, generation):
    model = load_by_audiocraft(audiocraft_model)
    model.lm.train()
    model.lm.linears[0].weight.requires_grad_(False)
    flags = [part.training for part in model.lm.modules()]
    needed = [weight.requires_grad for weight in model.lm.parameters()]
    wrapped = AudioGenGenerator.wrap(model)
    assert not any(weight.requires_grad for weight in model.lm.parameters())
    assert torch.equal(wrapped.generate(PROMPT, duration=0.6, seed=3).record["codes"], generation.record["codes"])
    wrapped.release()
    assert [part.training for part in model.lm.modules()] == flags
    assert [weight.requires_grad for weight in model.lm.parameters()] == needed
    assert any(flags)
    assert any(needed)


def test_a_model_in_half_precision_can_be_wrapped(audiocraft_model):
    """As audiocraft loads it on a GPU, where autocast widens what the last norm gives."""
    model = load_by_audiocraft(audiocraft_model)
    model.lm.to(torch.bfloat16)
    model.lm.out_norm.register_forward_hook(lambda module, given, output: output.float())
    wrapped = AudioGenGenerator.wrap(model)
    clip = wrapped.generate(PROMPT, duration=0.2)
    assert torch.isfinite(wrapped.forward(clip).log_prob).all()


@pytest.fixture(scope="module")
def stereo(tmp_path_factory):
    """MusicGen's stereo layout: two codes a step, left and right interleaved over the codebooks."""
    changes = {
        "transformer_lm": {"n_q": 8},
        "codebooks_pattern": {"delay": {"delays": [0, 0, 1, 1, 2, 2, 3, 3]}},
        "interleave_stereo_codebooks": {"use": True, "per_timestep": False},
    }
    folder = random_audiocraft_checkpoint(tmp_path_factory.mktemp("stereo"), changes=changes)
    return AudiocraftMusicGenGenerator.load(str(folder))


def test_a_stereo_model_conforms_and_its_greedy_codes_are_audiocrafts_own(stereo):
    check_generator(stereo)
    ours = stereo.generate(PROMPT, duration=0.4, temperature=0.0)
    assert torch.equal(ours.record["codes"], audiocraft_codes(stereo, PROMPT, ours.frames, 3.0))
    assert ours.waveform.shape == (2, round(0.4 * 16_000))


@pytest.mark.parametrize(
    "settings",
    [
        {"custom": True, "memory_efficient": False},
        {"attention_as_float32": True, "layer_scale": 0.5, "dropout": 0.5},
        {"norm_first": False, "bias_ff": True, "bias_proj": True},
    ],
    ids=["custom_attention", "float32_attention", "post_norm"],
)
def test_models_with_other_settings_of_audiocraft_conform(tmp_path, settings):
    generator = AudioGenGenerator.load(
        str(random_audiocraft_checkpoint(tmp_path, changes={"transformer_lm": settings}))
    )
    check_generator(generator)
    ours = generator.generate(PROMPT, duration=0.4, temperature=0.0)
    assert torch.equal(ours.record["codes"], audiocraft_codes(generator, PROMPT, ours.frames, 3.0))


def test_a_parallel_pattern_has_as_many_steps_as_frames(tmp_path):
    changes = {"codebooks_pattern": {"modeling": "parallel", "parallel": {"empty_initial": 0}}}
    generator = AudioGenGenerator.load(str(random_audiocraft_checkpoint(tmp_path, changes=changes)))
    check_generator(generator)
    clip = generator.generate(PROMPT, duration=0.4, temperature=0.0)
    assert clip.positions == clip.frames
    assert torch.equal(clip.record["codes"], audiocraft_codes(generator, PROMPT, clip.frames, 3.0))


def test_a_codec_by_name_is_an_encodec_in_transformers_format(tmp_path, random_model, generation):
    """The released MusicGen checkpoints name their codec; here a folder of that name lies beside them."""
    from transformers import MusicgenForConditionalGeneration

    random_audiocraft_checkpoint(tmp_path)
    codec = MusicgenForConditionalGeneration.from_pretrained(random_model).audio_encoder
    codec.save_pretrained(tmp_path / "encodec")
    torch.save({"pretrained": "encodec", "exported": True}, tmp_path / "compression_state_dict.bin")
    generator = AudiocraftMusicGenGenerator.load(str(tmp_path))
    with torch.no_grad():
        expected = codec.decode(generation.record["codes"][None, None], [None]).audio_values[0]
    torch.testing.assert_close(generator.decode(generation), expected)
    check_generator(generator)


# -- slow, literal definitions ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("branch", ["conditional", "unconditional", "guided"])
def test_log_probabilities_are_those_of_a_slow_step_by_step_pass(generator, branch):
    """For each code, run audiocraft's `forward` over the columns before its step, and read one softmax."""
    clip = generator.generate(PROMPT, duration=0.24, seed=4)
    scored = generator.forward(clip, branch=branch).log_prob[0]
    embeddings = generator.encode_prompt([PROMPT]).embeddings
    columns = torch.full((1, generator.codebooks, clip.positions + 1), generator.pad)
    for q, delay in enumerate(clip.timeline.delays):
        columns[0, q, 1 + delay : 1 + delay + clip.frames] = clip.record["codes"][q]

    def logits(step, q, text):
        condition = {"description": (text, torch.ones(text.shape[:2]))}
        return generator.lm(columns[..., : step + 1], conditions=[], condition_tensors=condition)[0, q, -1]

    with torch.no_grad():
        for q, delay in enumerate(clip.timeline.delays):
            for frame in range(clip.frames):
                conditional = logits(frame + delay, q, embeddings)
                unconditional = logits(frame + delay, q, torch.zeros_like(embeddings))
                mixed = unconditional + 3.0 * (conditional - unconditional)
                chosen = {"conditional": conditional, "unconditional": unconditional, "guided": mixed}[branch]
                expected = chosen.log_softmax(-1)[clip.record["codes"][q, frame]]
                torch.testing.assert_close(scored[q, frame], expected, atol=1e-4, rtol=1e-4)


def test_shown_weights_are_the_softmax_of_the_modules_own_projections(generator, generation):
    site, seen = generator.cross_attention()[0], {}
    watcher = site.module.register_forward_pre_hook(lambda module, inputs: seen.update(query=inputs[0], key=inputs[1]))
    with torch.no_grad(), edit_attention([site], capture := Capture(keep_heads=True)):
        generator.forward(generation)
    watcher.remove()
    to_q, to_k, _ = site.module.in_proj_weight.chunk(3)
    width = to_q.shape[0] // site.heads
    for head in range(site.heads):
        rows = slice(head * width, (head + 1) * width)
        q, k = seen["query"][0] @ to_q[rows].T, seen["key"][0] @ to_k[rows].T
        torch.testing.assert_close(capture.weights()[0, head], (q @ k.T / width**0.5).softmax(-1), **TOLERANCE)


def test_nothing_depends_on_padding_or_batch_mates(generator, generation):
    together = generator.encode_prompt(PROMPTS)
    batch = generator.forward(generation, together)
    for row, prompt in enumerate(PROMPTS):
        alone = generator.encode_prompt([prompt])
        length = alone.embeddings.shape[1]
        torch.testing.assert_close(together.embeddings[row : row + 1, :length], alone.embeddings, **TOLERANCE)
        assert together.tokens[row] == alone.tokens[0]
        assert together.spans[row] == alone.spans[0]
        single = generator.forward(generation, alone)
        torch.testing.assert_close(batch.log_prob[row], single.log_prob[0], **TOLERANCE)
        torch.testing.assert_close(batch.hidden[row], single.hidden[0], **TOLERANCE)
        isolated = [generator.isolated_states(generation, given) for given in (together, alone)]
        torch.testing.assert_close(isolated[0][row], isolated[1][0], **TOLERANCE)


def test_edits_in_a_padded_batch_see_no_weight_on_padding(generator, generation):
    together = generator.encode_prompt(PROMPTS)
    gate = torch.rand(generation.positions, together.mask.shape[1], generator=torch.Generator().manual_seed(0))
    sites, capture = generator.cross_attention(), Capture()
    with edit_attention(sites, capture), edit_attention(sites, Gate(gate)):
        gated = generator.forward(generation, together).hidden
    weights = capture.weights().transpose(1, 2)
    assert (weights[~together.mask] == 0).all()
    assert (weights[together.mask] > 0).all()
    alone = generator.encode_prompt([PROMPTS[1]])
    with edit_attention(generator.cross_attention(), Gate(gate[:, : alone.mask.shape[1]])):
        torch.testing.assert_close(gated[1], generator.forward(generation, alone).hidden[0], **TOLERANCE)


@pytest.mark.parametrize("branch", ["conditional", "guided"])
def test_forward_mode_derivatives_are_those_of_reverse_mode(generator, generation, branch):
    conditioning = generator.encode_prompt([PROMPT])
    forward = token_derivatives(generator, generation, conditioning, branch=branch)
    scale = torch.ones(1, len(generation.tokens), 1, requires_grad=True)
    scaled = replace(conditioning, embeddings=scale * conditioning.embeddings)
    log_prob = generator.forward(generation, scaled, branch=branch).log_prob[0]
    for q, frame in ((0, 0), (1, 7), (3, 14)):
        (reverse,) = torch.autograd.grad(log_prob[q, frame], scale, retain_graph=True)
        torch.testing.assert_close(forward[q, frame], reverse[0, :, 0], atol=1e-4, rtol=1e-4)


def test_gradients_reach_the_gate_and_the_embeddings_through_a_hook(generator, generation):
    """With an edit installed the module runs on detached inputs; no gradient may be lost by it."""
    conditioning = generator.encode_prompt([PROMPT])
    embeddings = conditioning.embeddings.clone().requires_grad_()
    gradients = []
    for sites in ([], generator.attention_sites()):
        with edit_attention(sites, lambda site, weights: None):
            output = generator.forward(generation, replace(conditioning, embeddings=embeddings)).log_prob.sum()
        gradients.append(torch.autograd.grad(output, embeddings)[0])
    torch.testing.assert_close(gradients[0], gradients[1], atol=1e-4, rtol=1e-4)
    gate = torch.ones(generation.positions, len(generation.tokens), requires_grad=True)
    with edit_attention(generator.cross_attention(), Gate(gate)):
        generator.forward(generation).log_prob.sum().backward()
    assert (gate.grad.abs().sum(0) > 0).all()


def test_isolated_steps_are_sequences_of_length_one(generator, generation):
    isolated = generator.isolated_states(generation, generator.encode_prompt([PROMPT]))[0]
    column = generation.record["codes"][
        None, :, :1
    ].clone()  # step 1 reads frame 0 of codebook 0, and padding of the others
    column[:, 1:] = generator.pad
    condition = {"description": (generator.encode_prompt([PROMPT]).embeddings, None)}
    alone = generator.lm(column, conditions=[], condition_tensors=condition)[0, 2, 0]
    torch.testing.assert_close(generator.lm.linears[2](isolated[1]), alone, **TOLERANCE)


# -- sampling --------------------------------------------------------------------------------------------------------


def test_the_same_seed_repeats_bit_for_bit_and_another_does_not(generator):
    first, again, other = (generator.generate(PROMPT, duration=0.6, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(first.record["codes"], again.record["codes"])
    assert torch.equal(first.waveform, again.waveform)
    assert not torch.equal(first.record["codes"], other.record["codes"])


def test_an_unconditional_clip_ignores_the_prompt_and_a_mask_of_zeros_makes_the_same(generator):
    first, other = (generator.generate(text, duration=0.6, seed=1, branch="unconditional") for text in PROMPTS[:2])
    assert torch.equal(first.record["codes"], other.record["codes"])
    zeros = torch.zeros(first.positions, len(first.tokens))
    masked = generator.generate(PROMPT, duration=0.6, seed=1, branch="conditional", mask=zeros)
    assert torch.equal(masked.record["codes"], first.record["codes"])
    assert not torch.equal(
        generator.generate(PROMPT, duration=0.6, seed=1, branch="conditional").record["codes"], first.record["codes"]
    )


def test_token_spans_point_at_the_prompts_characters(generator):
    clip = generator.generate("  A dog   barks", duration=0.1)
    for token, (start, end) in zip(clip.tokens, clip.spans, strict=True):
        text = clip.prompt[start:end]
        assert text == text.strip()
        assert token in ("</s>", "<unk>") or token.lstrip("▁") == text
    assert clip.tokens[-1] == "</s>"


def test_bfloat16_differs_from_float32_by_its_rounding_alone(audiocraft_model, generator, generation):
    lower = AudioGenGenerator.load(str(audiocraft_model), dtype="bfloat16")
    assert lower.lm.transformer.layers[0].linear1.weight.dtype == torch.bfloat16
    assert len(lower.generate(PROMPT, duration=0.2).record["codes"]) == 4
    with edit_attention(lower.cross_attention(), lambda site, weights: None):
        hooked = lower.forward(generation)
    expected = generator.forward(generation).hidden
    for output in (lower.forward(generation), hooked):
        assert torch.cosine_similarity(output.hidden.float(), expected, dim=-1).min() > 0.999


# -- methods ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "method",
    [
        AudioGenX(epochs=2),
        AudioGenX(mode="reference", epochs=2, hidden_units=8),
        CrossAttention(),
        InputXGradient(),
        Shapley(),
    ],
    ids=["audiogenx", "audiogenx_reference", "cross_attention", "input_x_gradient", "shapley"],
)
def test_methods_keep_their_contract_on_audiocraft(method, generator):
    check_method(method, generator, prompts=("a dog barks", "thunder"), duration=0.2)


# -- an untouched model ----------------------------------------------------------------------------------------------


def use(generator):
    """Everything an explanation does to a model, once: generate under a mask, score, edit, differentiate, fail."""
    clip = generator.generate(PROMPT, duration=0.2, seed=1)
    generator.generate(PROMPT, duration=0.2, mask=torch.ones(clip.positions, len(clip.tokens)))
    AudioGenX(epochs=1).attribute(generator, clip)
    generator.forward(clip, generator.encode_prompt(PROMPTS), branch="guided")
    for site in generator.attention_sites():
        with pytest.raises(ZeroDivisionError), edit_attention([site], lambda site, weights: 1 / 0):
            generator.forward(clip)
    with pytest.raises(ZeroDivisionError):
        generator.generate(PROMPT, duration=0.2, on_progress=lambda progress: 1 / 0)


def modules(generator):
    return [part for model in (generator.lm, generator.codec, generator.text_encoder) for part in model.modules()]


def test_weights_and_buffers_are_unchanged_after_use(generator):
    models = (generator.lm, generator.codec, generator.text_encoder)
    before = [copy.deepcopy(model.state_dict()) for model in models]
    use(generator)
    for model, state in zip(models, before, strict=True):
        after = model.state_dict()
        assert list(after) == list(state)
        assert all(torch.equal(after[name], value) for name, value in state.items())
        assert all(weight.grad is None for weight in model.parameters())


def test_hooks_and_streaming_state_are_gone_after_use(generator):
    def hooks():  # audiocraft's codec has some of its own, for weight norm
        names = ("_forward_hooks", "_forward_pre_hooks", "_forward_hooks_with_kwargs", "_backward_hooks")
        return [list(getattr(part, name)) for part in modules(generator) for name in names]

    before = hooks()
    use(generator)
    assert hooks() == before
    assert len(audiocraft_attention._recomputed) == 0
    for part in modules(generator):
        assert not getattr(part, "_is_streaming", False)
        assert not getattr(part, "_streaming_state", {})


def test_training_flags_and_requires_grad_are_as_the_constructor_set_them(generator):
    use(generator)
    assert not any(part.training for part in modules(generator))
    assert not any(weight.requires_grad for part in modules(generator) for weight in part.parameters())


def test_global_random_states_and_the_default_dtype_are_unchanged_by_loading_and_use(audiocraft_model):
    def state():  # not Python's own: while tests run, beartype draws from it
        return torch.random.get_rng_state().tolist(), repr(numpy.random.get_state()), torch.get_default_dtype()

    before = state()
    use(AudioGenGenerator.load(str(audiocraft_model)))
    assert state() == before


# -- refusals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"positional_embedding": "rope"}, "rope"),
        ({"qk_layer_norm": True}, "qk_layer_norm"),
        ({"qk_layer_norm_cross": True}, "qk_layer_norm"),
        ({"kv_repeat": 2}, "kv_repeat"),
        ({"past_context": 4}, "past_context"),
        ({"memory_efficient": False}, "attention without custom"),
        ({"causal": False}, "not causal"),
        ({"bias_attn": True}, "biases in cross-attention"),
        ({"two_step_cfg": True}, "two_step_cfg"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_decoder_that_cannot_be_explained_rightly_is_refused_in_one_sentence(tmp_path, settings, named):
    random_audiocraft_checkpoint(tmp_path, changes={"transformer_lm": settings})
    with pytest.raises(UnsupportedError, match=f"this audiocraft model has .*{named}.*does not support$"):
        AudioGenGenerator.load(str(tmp_path))


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"fuser": {"cross_attention_pos_emb": True}}, "cross_attention_pos_emb"),
        ({"fuser": {"prepend": ["description"]}}, "fuser 'prepend'"),
        ({"fuser": {"sum": ["description"], "cross": []}}, "fuser 'sum'"),
        ({"codebooks_pattern": {"modeling": "coarse_first", "coarse_first": {}}}, "pattern"),
        ({"codebooks_pattern": {"delay": {"flatten_first": 1}}}, "pattern"),
    ],
    ids=["positions", "prepend", "sum", "coarse_first", "flatten_first"],
)
def test_a_model_that_is_put_together_otherwise_is_refused_in_one_sentence(tmp_path, changes, named):
    random_audiocraft_checkpoint(tmp_path, changes=changes)
    with pytest.raises(UnsupportedError, match=named):
        AudioGenGenerator.load(str(tmp_path))


@pytest.fixture
def changed(tmp_path, audiocraft_model):
    """A function that changes one file of a copy of the checkpoint, and gives the folder of the copy."""
    for path in audiocraft_model.iterdir():
        (tmp_path / path.name).symlink_to(path)

    def change(name, edit):
        package = torch.load(audiocraft_model / name)
        edit(package)
        (tmp_path / name).unlink()
        torch.save(package, tmp_path / name)
        return str(tmp_path)

    return change


class Code:
    """A pickle of this runs code: it would leave a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


@pytest.mark.parametrize("name", ["state_dict.bin", "compression_state_dict.bin"])
def test_a_pickle_with_code_is_refused_and_not_run(changed, tmp_path, name):
    trace = tmp_path / "trace"
    folder = changed(name, lambda package: package.update(extra=Code(trace)))
    with pytest.raises(TagxaiError, match=f"{name} of .* is refused: .* could run code$"):
        AudioGenGenerator.load(folder)
    (tmp_path / name).write_bytes(pickle.dumps(Code(trace)))
    with pytest.raises(TagxaiError, match="is refused"):
        AudioGenGenerator.load(folder)
    assert not trace.exists()


def replaced(old, new):
    return lambda package: package.update({"xp.cfg": package["xp.cfg"].replace(old, new)})


LANGUAGE_MODEL, CODEC = "state_dict.bin", "compression_state_dict.bin"


@pytest.mark.parametrize(
    ("name", "edit", "sentence"),
    [
        (LANGUAGE_MODEL, lambda package: package["best_state"].update(more=torch.ones(1)), 'Unexpected key.*"more"'),
        (
            LANGUAGE_MODEL,
            lambda package: package["best_state"].popitem(),
            r"does not fit its own xp\.cfg: .*Missing key",
        ),
        (LANGUAGE_MODEL, lambda package: package.pop("best_state"), "no 'best_state' and 'xp.cfg'"),
        (
            LANGUAGE_MODEL,
            lambda package: package.update(pretrained="e") or package.pop("xp.cfg"),
            "no 'best_state' and",
        ),
        (LANGUAGE_MODEL, replaced("segment_duration: 3", "segment_duration: .nan"), "segment_duration = nan"),
        (CODEC, lambda package: package["best_state"].popitem(), "Missing key"),
        (CODEC, replaced("16000", "32000"), "do not fit: 32000 and 16000 Hz of sample rate"),
        (CODEC, replaced("n_q: 4", "n_q: 2"), "compression_state_dict.bin does not fit"),
        (LANGUAGE_MODEL, replaced("model: t5", "model: clap"), "conditions {'description': 'clap'}; tagxai supports"),
        (
            LANGUAGE_MODEL,
            replaced("lm_model: transformer_lm", "lm_model: transformer_lm_magnet"),
            "transformer_lm_magnet",
        ),
        (LANGUAGE_MODEL, replaced("normalize_text: false", "normalize_text: true"), "normalize_text"),
        (LANGUAGE_MODEL, replaced("t5-small", "tagxai-tests/no-t5"), "cannot load 'tagxai-tests/no-t5' .*no network"),
    ],
    ids=[
        "extra",
        "missing",
        "no_state",
        "no_cfg",
        "seconds",
        "codec",
        "rate",
        "codebooks",
        "clap",
        "magnet",
        "normalize_text",
        "no_t5",
    ],
)
def test_a_damaged_or_foreign_checkpoint_is_one_sentence(changed, name, edit, sentence):
    with pytest.raises(TagxaiError, match=sentence) as error:
        AudioGenGenerator.load(changed(name, edit))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("content", [b"", b"text", b"PK\x03\x04 cut short"])
def test_a_file_that_torch_cannot_read_is_one_sentence(changed, content):
    folder = changed(CODEC, lambda package: None)
    with open(f"{folder}/{CODEC}", "wb") as file:
        file.write(content)
    with pytest.raises(TagxaiError, match=rf"^{CODEC} of .* is (damaged and cannot be read|refused)"):
        AudioGenGenerator.load(folder)


def test_a_missing_file_or_folder_is_one_sentence(tmp_path, audiocraft_model):
    (tmp_path / "state_dict.bin").symlink_to(audiocraft_model / "state_dict.bin")
    with pytest.raises(TagxaiError, match=r"does not hold an audiocraft model: it has no compression"):
        AudioGenGenerator.load(str(tmp_path))
    with pytest.raises(TagxaiError, match=r"expected a folder with audiocraft's state_dict\.bin"):
        AudioGenGenerator.load(str(tmp_path / "missing"))


def test_a_hub_model_without_network_or_cache_is_one_sentence():
    with pytest.raises(TagxaiError, match="no local copy, and no network"):
        AudioGenGenerator.load("tagxai-tests/no-such-model")


def test_without_audiocraft_loading_says_in_one_sentence_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "audiocraft.models", None)
    with pytest.raises(TagxaiError, match=r"generator 'audiogen' needs audiocraft .*extra 'audiocraft'") as error:
        AudioGenGenerator.load()
    assert "\n" not in str(error.value)
