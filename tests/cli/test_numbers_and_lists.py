"""Numbers that nothing can mean are refused in a sentence, and lists end, whatever their lines hold."""

import time

import pytest
import torch
from cli_helpers import run

from tagxai.cli.lists import Job, Work
from tagxai.contract.magnitude import check_magnitude
from tagxai.contract.request import Setting, read_settings
from tagxai.contract.values import Conditioning
from tagxai.errors import TagxaiError
from tagxai.explaining.loading import make_method
from tagxai.text.lists import Prompt, read_prompts

FLOAT = Setting("temperature", float, 1.0, "Of sampling.", 0)
COUNT = Setting("top_k", int, 250, "Codes.", 0)


@pytest.mark.parametrize(
    "value", ["1e38", 1e300, "5e-324", 1e-40, float("nan"), "inf", "1e400", "9" * 5000, -1, "1,5", "", []]
)
def test_a_fraction_that_overflows_is_refused(value):
    with pytest.raises(TagxaiError, match=r"temperature (takes|must be)") as refused:
        FLOAT.read(value)
    assert len(str(refused.value)) < 250


@pytest.mark.parametrize("value", [10**12, "1" * 400, lambda: 10**5000, 1.5, "1e3", []])
def test_a_whole_number_that_never_ends_is_refused(value):
    with pytest.raises(TagxaiError, match=r"top_k (takes|must be)"):
        read_settings([COUNT], {"top_k": value() if callable(value) else value}, "generator 'any'")


@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("audiogenx", {"epochs": "1000000000000"}),
        ("audiogenx", {"learning_rate": "1e300"}),
        ("audiogenx", {"learning_rate": 5e-324}),
        ("kernel_shap", {"samples": 10**15}),
        ("shapley", {"tolerance": "1e-300"}),
        ("captum:KernelShap", {"n_samples": "99999999999"}),
    ],
)
def test_options_of_methods_have_the_same_limits(method, options):
    with pytest.raises(TagxaiError, match=f"option '{next(iter(options))}' of method '{method}' takes"):
        make_method(method, options)


BIG = "12345678901234567890123"


@pytest.mark.parametrize("command", ["explain", "generate", "edit", "bench"])
@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--guidance-scale", "1e38", "takes 0, or a size from 1e-06 to 1e+06, not 1e+38"),
        ("--guidance-scale", "NaN", "takes no number of such size: nan"),
        ("--temperature", "5e-324", "takes 0, or a size from 1e-06"),
        ("--top-k", BIG, "takes at most 10,000,000, not 12,345,678,901,234,567,890,123"),
        ("--top-k", "-" + BIG, "takes at least -10,000,000, not -12,345,678,901,234,567,890,123"),
        ("--top-k", "9" * 5000, "takes no number of such size: inf"),
        ("--denoising-steps", "1e400", "takes no number of such size: inf"),
    ],
)
def test_a_number_that_no_setting_takes_is_refused_before_a_model_is_loaded(
    command, option, value, said, monkeypatch, tmp_path
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tagxai.explaining.loading.load_generator", None)
    needed = {"edit": ["a dog", "--gain", "dog=0.5"], "bench": ["--prompts", "prompts.txt", "--methods", "random"]}
    (tmp_path / "prompts.txt").write_text("a dog\n")
    found = run(command, *needed.get(command, ["a dog"]), option, value)
    assert found.exit_code == 2
    assert found.stderr.startswith(f"{option} {said}")
    assert [file.name for file in tmp_path.iterdir()] == ["prompts.txt"]


@pytest.mark.parametrize("value", [int(BIG), BIG, -int(BIG)])
def test_a_whole_number_of_many_digits_is_called_too_large_and_not_no_number(value):
    with pytest.raises(TagxaiError, match=r"12,345,678,901,234,567,890,123|at least 0"):
        COUNT.read(value)


def test_usual_numbers_seeds_and_defaults_pass():
    for value in (0, 0.0, 1, -3.5, 1e-6, 1e6, 10_000_000, True):
        check_magnitude("x", value)
    assert make_method("random", {"seed": 2**62}).seed == 2**62
    assert FLOAT.read("0") == 0.0


@pytest.fixture
def work(generator, generation, monkeypatch):
    """Work whose clips and encodings cost nothing: a prompt has a token for each word."""

    def encode(model, text):
        words = tuple(text.split())
        return Conditioning(
            torch.zeros(1, 1, 1), torch.ones(1, 1, dtype=torch.bool), (words,), (tuple((0, 0) for _ in words),)
        )

    monkeypatch.setattr("tagxai.cli.lists.encode", encode)
    monkeypatch.setattr("tagxai.cli.options.warn_about_prompt", lambda *arguments: None)
    monkeypatch.setattr("tagxai.cli.lists.generate_each", lambda model, asked, on_progress: [generation] * len(asked))

    def make(finished, check=lambda model, encoded: None):
        done, asked = set(), []

        def finish(model, job, clip, seconds):
            finished.append(job.prompt.text)
            done.add(job.name)

        def is_done(job):
            asked.append(job.name)
            return job.name in done

        return Work(is_done, generator, check, finish), asked

    return make


def jobs_of(texts):
    return [Job(Prompt(text, line), 0, None, {}, {}) for line, text in enumerate(texts, 1)]


def test_many_equal_lines_are_looked_at_once(work):
    finished = []
    doing, asked = work(finished)
    started = time.process_time()
    outcomes = list(doing.run(jobs_of(["a dog barks"] * 100_000), lambda progress: None))
    assert finished == ["a dog barks"]
    assert [outcome.status for outcome in outcomes[:2]] == ["made", "kept"]
    assert len(outcomes) == 100_000
    assert len(asked) == 2
    assert time.process_time() - started < 30  # a million in less than five minutes, on a loaded machine


@pytest.mark.parametrize("longest", [3, 7, 20])
def test_a_line_that_is_too_long_fails_with_its_number_and_the_others_go_on(longest, work, capsys):
    def check(model, encoded):
        if len(encoded.tokens[0]) > longest:
            raise TagxaiError(f"{len(encoded.tokens[0])} words are too many")

    finished = []
    texts = ["a", "word " * 8, "a dog barks", "word " * 21, "word " * 10_000]
    outcomes = list(work(finished, check)[0].run(jobs_of(texts), lambda progress: None))
    short = [text for text in texts if len(text.split()) <= longest]
    assert finished == short
    failed = {o.job.prompt.line: o.error for o in outcomes if o.status == "failed"}
    assert failed == {n: f"{len(t.split())} words are too many" for n, t in enumerate(texts, 1) if t not in short}
    assert "line 5: 10000 words are too many" in capsys.readouterr().err


def test_where_nothing_fits_the_lines_are_not_to_blame(work):
    def check(model, encoded):
        raise TagxaiError("the model does not fit")

    with pytest.raises(TagxaiError, match="the model does not fit"):
        list(work([], check)[0].run(jobs_of(["a", "a dog"]), lambda progress: None))


@pytest.mark.parametrize("separator", ["\u2028", "\u2029", "\x0b", "\x0c", "\x1c", "\x85"])
def test_only_line_ends_end_a_line(separator, tmp_path):
    (tmp_path / "list.txt").write_bytes(f"a dog{separator}barks\r\nrain\rwind\n".encode())
    assert read_prompts(tmp_path / "list.txt") == [(f"a dog{separator}barks", 1), ("rain", 2), ("wind", 3)]
