"""Clips that continue a sound: the given codes come first, only the rest is sampled, scored and explained."""

import math
from dataclasses import replace

import pytest
import soundfile
import torch
from cli_helpers import run

import tagxai
from tagxai.contract.continuing import Beginning, Sound, fitted, read_sound
from tagxai.errors import TagxaiError, UnsupportedError
from tagxai.scoring import words_and_beginning

PROMPT = "a dog barks while rain falls"


@pytest.fixture(scope="module")
def tiny():
    return tagxai.load_generator("tiny")


@pytest.fixture(scope="module")
def barking(tiny, tmp_path_factory):
    """A sound file of 1 s."""
    path = tmp_path_factory.mktemp("sounds") / "dog.wav"
    clip = tiny.generate("a dog barks", duration=1.0, seed=1)
    soundfile.write(path, clip.waveform.T.numpy(), clip.sample_rate)
    return path


@pytest.fixture(scope="module")
def continued(tiny, barking):
    return tiny.generate("rain falls", duration=2.0, seed=4, beginning=tiny.encode_audio(*read_sound(barking)))


@pytest.mark.parametrize("frames", [1, 7, 24])
def test_a_clip_that_continues_its_own_beginning_is_itself(generator, generation, frames):
    beginning = Beginning.of(generation, frames)
    again = tagxai.Request(PROMPT, 1.0, 3, beginning=beginning)
    shorter = tagxai.Request("rain", 0.4, 5)
    found, other = generator.generate_many([again, shorter])
    assert torch.equal(found.record["codes"], generation.record["codes"])
    assert found.given == frames
    assert torch.equal(other.record["codes"], generator.generate("rain", duration=0.4, seed=5).record["codes"])


def test_other_codes_at_the_beginning_change_what_follows(generator, generation):
    codes = generation.record["codes"].clone()
    codes[:, :10] = (codes[:, :10] + 1) % 16
    found = generator.generate(PROMPT, duration=1.0, seed=3, beginning=Beginning({"codes": codes}, 10))
    assert torch.equal(found.record["codes"][:, :10], codes[:, :10])
    assert not torch.equal(found.record["codes"][:, 10:], generation.record["codes"][:, 10:])


def test_a_clip_begins_with_the_sound_that_it_continues(tiny, barking, continued):
    """As the codec renders it: what is left over is within the error of its codes, and small beside the sound."""
    sound, _ = read_sound(barking)
    assert continued.given == 25
    beginning = continued.waveform[:, : sound.shape[1] - 3200]  # the codec's window sees what follows
    given = sound[:, : beginning.shape[1]]
    own = tiny.decode_codes(tiny.encode_codes(sound))[:, : beginning.shape[1]]
    assert (beginning - own).abs().max() < 1e-3
    match = torch.nn.functional.cosine_similarity(_loudness(beginning), _loudness(given), dim=0)
    assert match > 0.95
    silence = tiny.generate("rain falls", duration=2.0, seed=4).waveform[:, : beginning.shape[1]]
    assert match > torch.nn.functional.cosine_similarity(_loudness(silence), _loudness(given), dim=0) + 0.1


def _loudness(waveform):
    """The magnitudes of a sound by time and frequency, in one vector."""
    return torch.stft(waveform[0], 512, 160, window=torch.hann_window(512), return_complex=True).abs().flatten()


@pytest.mark.parametrize("method", ["cross_attention", "occlusion", "input_x_gradient"])
def test_only_what_was_generated_is_explained(tiny, continued, method):
    found = tagxai.explain(continued, method=method, generator=tiny)
    assert (found.scores[:, :25] == 0).all()
    assert (found.scores[:, 25:] != 0).any()
    mean = found.over_time(found.words())[:, 25:].mean(1)
    torch.testing.assert_close(torch.tensor([each.score for each in found.per_word()]), mean)
    gates = found.to_mask()
    assert (gates[:25] == 1).all()
    assert (gates[25:].min(), gates[25:].max()) == (0, 1)


@pytest.mark.parametrize("branch", ["conditional", "unconditional", "guided"])
def test_given_frames_have_no_log_probability_and_change_no_other(tiny, continued, branch):
    plain, found = replace(continued, given=0), tiny.forward(continued, branch=branch).log_prob
    assert (found[..., :25] == 0).all()
    assert torch.equal(found[..., 25:], tiny.forward(plain, branch=branch).log_prob[..., 25:])
    if branch != "unconditional":
        conditioning = tiny.encode_prompt([continued.prompt])
        prefix = tiny.prefix_state(continued, conditioning, 20, branch=branch)
        rest = tiny.forward_from(prefix, continued, conditioning, branch=branch).log_prob
        assert (rest[..., :5] == 0).all()
        torch.testing.assert_close(rest[..., 5:], found[..., 25:], rtol=0, atol=1e-4)


def test_words_and_beginning_share_what_both_add(tiny, continued):
    past, beginning, words = words_and_beginning(tiny, continued)
    both = tiny.forward(continued).log_prob[0]
    torch.testing.assert_close(past + beginning + words, both, rtol=0, atol=1e-5)
    codes = continued.record["codes"][:, 25:]
    alone = replace(continued, timeline=tiny.timeline(1.0), record={"codes": codes}, given=0)
    with_words, without = (tiny.forward(alone, branch=b).log_prob[0] for b in ("conditional", "unconditional"))
    heard = tiny.forward(continued, branch="unconditional").log_prob[0][:, 25:]
    expected = (both[:, 25:] - with_words + heard - without) / 2
    torch.testing.assert_close(beginning[:, 25:], expected, rtol=0, atol=1e-5)
    assert not any(part[:, :25].any() for part in (past, beginning, words))


def test_a_beginning_counts_where_it_goes_on_and_words_where_they_say_something_else(tiny, barking):
    """A prompt of what the beginning holds leaves it more of the share than a prompt of something else."""
    start = tiny.encode_audio(*read_sound(barking))
    share = []
    for prompt in ("a dog barks", "rain falls"):
        clips = [tiny.generate(prompt, duration=2.0, seed=seed, beginning=start) for seed in range(4)]
        parts = [words_and_beginning(tiny, clip) for clip in clips]
        share.append(sum(float(part.beginning.mean() - part.words.mean()) for part in parts))
    assert share[0] > share[1]


def test_a_continued_clip_is_saved_shown_and_asked_about(barking, tmp_path):
    out = tmp_path / "out"
    arguments = ("explain", "rain falls", "--continue", barking, "--keep", 0.6, "--duration", 1.2)
    done = run(*arguments, "--method", "cross_attention", "--out", out)
    assert done.exit_code == 0, done.output
    assert "the first 0.6 s were given: hearing them adds" in done.stdout
    loaded = tagxai.load(out)
    assert loaded.generation.given == 15
    assert loaded.generation.duration == 1.2
    assert "the first 0.6 s were given" in (out / "report.html").read_text(encoding="utf-8")
    unconditional, _ = soundfile.read(out / "unconditional.flac")
    original, _ = soundfile.read(out / "original.flac")
    assert abs(unconditional[:6000] - original[:6000]).max() < 1e-3  # it continues the same sound
    assert abs(unconditional[12000:] - original[12000:]).max() > 1e-3
    asked = run("ask", out)
    assert asked.exit_code == 0, asked.output
    assert all(name in asked.stdout for name in ("past", "beginning", "words", "0.6-"))
    assert run("show", out).exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--continue", "gone.wav"], "there is no sound file 'gone.wav'; give a WAV, FLAC, OGG or MP3 file"),
        (["--continue", "text.wav"], "'text.wav' is no sound file that can be read"),
        (["--continue", "dog.wav", "--duration", "0.8"], "the 1 s of sound to continue leave nothing to generate"),
        (["--continue", "dog.wav", "--keep", "2"], "'dog.wav' has 1 s, of which 2 s cannot be kept"),
        (["--continue", "dog.wav", "--keep", "0.01"], "cannot continue 0.01 s of sound: keep at least 0.04 s"),
        (["--continue", "dog.wav", "--keep", "-1"], "--keep takes a positive number of seconds, not -1"),
        (["--keep", "1"], "--keep only applies with --continue SOUND"),
        (["--continue", "dog.wav", "--generator", "latent"], "generator 'latent' cannot continue a sound"),
    ],
)
def test_what_cannot_be_continued_is_refused_in_a_sentence(barking, tmp_path, monkeypatch, arguments, sentence):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dog.wav").write_bytes(barking.read_bytes())
    (tmp_path / "text.wav").write_text("no sound")
    done = run("explain", "rain falls", *arguments, "--out", "out")
    assert done.exit_code == 2
    assert sentence in " ".join(done.stderr.split())
    assert "Traceback" not in done.output
    assert not (tmp_path / "out").exists()


def test_a_list_of_prompts_continues_nothing(barking, tmp_path):
    (tmp_path / "list.txt").write_text("rain falls\n")
    done = run("explain", "--prompts", tmp_path / "list.txt", "--continue", barking, "--out", tmp_path / "out")
    assert done.exit_code == 2
    assert "--continue is for one PROMPT" in done.stderr


def test_a_beginning_of_another_model_is_refused_by_one_that_cannot_begin(generation):
    latent = tagxai.load_generator("latent")
    with pytest.raises(UnsupportedError, match="generator 'latent' cannot continue a sound"):
        latent.generate(PROMPT, duration=1.0, beginning=Beginning.of(generation, 5))


@pytest.mark.parametrize("rate", [8000, 24000, 44100])
def test_a_sound_keeps_its_pitch_at_another_rate(rate):
    def tone(rate, seconds=0.5):
        return torch.sin(2 * math.pi * 440 * torch.arange(round(rate * seconds)) / rate)[None]

    found, wanted = fitted(Sound(tone(rate), rate), 16000, 1), tone(16000)
    assert found.shape == wanted.shape
    assert (found - wanted)[:, 200:-200].abs().max() < 0.01


def test_channels_are_mixed_down_or_repeated():
    both = torch.stack([torch.ones(100), torch.zeros(100)])
    assert torch.equal(fitted(Sound(both, 16000), 16000, 1), torch.full((1, 100), 0.5))
    assert torch.equal(fitted(Sound(both[:1], 16000), 16000, 2), torch.ones(2, 100))


def test_audiocraft_continues_its_codecs_own_codes(audiocraft_generator):
    clip = audiocraft_generator.generate(PROMPT, duration=0.4, seed=2)
    start = audiocraft_generator.encode_audio(clip.waveform, clip.sample_rate)
    expected, _ = audiocraft_generator.codec.encode(clip.waveform[None])
    assert torch.equal(start.record["codes"], expected[0][:, : start.frames])
    longer = audiocraft_generator.generate(PROMPT, duration=0.8, seed=2, beginning=start)
    assert torch.equal(longer.record["codes"][:, : start.frames], start.record["codes"])


def test_a_sound_that_is_not_finite_is_refused(tmp_path):
    soundfile.write(tmp_path / "nan.wav", [0.0, math.nan, 0.1], 16000, subtype="FLOAT")
    with pytest.raises(TagxaiError, match="holds NaN or infinity"):
        read_sound(tmp_path / "nan.wav")
