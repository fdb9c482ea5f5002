"""`explain --method a,b` as its users meet it: one clip, a folder for each method, a page that compares them."""

import json
import re
from base64 import b64decode
from dataclasses import dataclass, replace

import pytest
import torch
from registered import register_method
from typer.testing import CliRunner

from tagxai import Attribution, Method, TagxaiError
from tagxai.cli import app
from tagxai.errors import DamagedFileError
from tagxai.explaining.comparison import Comparison, method_folder
from tagxai.explaining.explanation import Explanation
from tagxai.methods.random import Random
from tagxai.metrics.families.rank_correlation import rank_correlation
from tagxai.registering.registry import registry


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments], prog_name="tagxai")


@pytest.fixture
def loads(monkeypatch, generator):
    """The random model under every name, and how many clips it was asked for."""
    clips = []
    make = type(generator).generate_many
    monkeypatch.setattr("tagxai.cli.options.load_generator", lambda spec, **options: generator)
    monkeypatch.setattr(type(generator), "generate_many", lambda *a, **k: clips.append(a) or make(*a, **k))
    return clips


def compare(out, methods, *options):
    return run("explain", "a dog barks", "-m", methods, "-d", "0.4", "-o", out, "--audio-repeats", 0, *options)


@dataclass(frozen=True)
class Failing(Method):
    """Fails."""

    name = "failing"
    kind: str = "told"

    def explain(self, run):
        raise TagxaiError("it cannot do this") if self.kind == "told" else RuntimeError("a bug\nin a plugin")


@pytest.fixture
def failing(monkeypatch):
    register_method(monkeypatch, "failing", Failing)


def test_each_method_has_a_whole_folder_of_its_own(loads, tmp_path):
    result = compare(tmp_path, "random,cross_attention", "--interval", "0:0.2")
    assert result.exit_code == 0, result.output
    assert len(loads) == 1
    assert {file.name for file in tmp_path.iterdir()} == {
        "comparison.json",
        "report.html",
        "random",
        "cross_attention",
    }
    for method in ("random", "cross_attention"):
        saved = Explanation.load(tmp_path / method)
        assert saved.attribution.method == method
        assert saved.intervals == ((0.0, 0.2),)
        assert (tmp_path / method / "report.html").is_file()
    for text in ("dog", "random", "cross_attention", "0-0.2 s", "Agreement of the methods", "passes"):
        assert text in result.stdout


def test_show_and_report_know_a_comparison(loads, tmp_path):
    made = compare(tmp_path, "random,cross_attention")
    shown = run("show", tmp_path)
    assert shown.exit_code == 0, shown.output
    assert shown.stdout in made.stdout
    (tmp_path / "report.html").unlink()
    assert "report.html" in run("report", tmp_path).stdout
    assert (tmp_path / "report.html").is_file()
    assert run("show", tmp_path / "random").exit_code == 0
    content = json.loads(run("show", tmp_path, "--json").stdout)
    assert list(content["explanations"]) == ["random", "cross_attention"]
    assert content["explanations"]["random"]["method"] == "random"


def test_settings_go_to_the_method_that_is_named_or_to_all_that_have_them(loads, tmp_path):
    settings = ("random.seed=5", "smooth_grad.samples=2", "seed=7", "noise=0.25")
    result = compare(tmp_path, "random,smooth_grad", *(part for s in settings for part in ("--set", s)))
    assert result.exit_code == 0, result.output
    saved = Comparison.load(tmp_path).explanations
    assert saved["random"].attribution.settings == {"seed": 5}
    smooth = saved["smooth_grad"].attribution.settings
    assert (smooth["samples"], smooth["seed"], smooth["noise"]) == (2, 7, 0.25)


def test_one_method_may_be_named_in_its_settings_too(loads, tmp_path):
    assert compare(tmp_path, "random", "--set", "random.seed=5").exit_code == 0
    assert Explanation.load(tmp_path).attribution.settings == {"seed": 5}


@pytest.mark.parametrize(("kind", "told"), [("told", "it cannot do this"), ("bug", "RuntimeError: a bug in a plugin")])
def test_a_method_that_fails_is_one_sentence_and_the_others_survive(kind, told, loads, failing, tmp_path):
    result = compare(tmp_path, "random,failing,cross_attention", "--set", f"kind={kind}")
    assert result.exit_code == 1
    assert result.stderr.splitlines()[-1] == f"method 'failing' failed: {told}"
    assert list(Comparison.load(tmp_path).explanations) == ["random", "cross_attention"]
    assert told in (tmp_path / "report.html").read_text()


def test_where_all_methods_fail_nothing_is_left(loads, failing, monkeypatch, tmp_path):
    monkeypatch.setattr(Random, "attribute", Failing("told").attribute)
    result = compare(tmp_path / "out", "random,failing")
    assert result.exit_code == 2
    assert "it cannot do this" in result.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["-m", "random,"], "methods are names separated by commas"),
        (["-m", "random,random"], "method 'random' is given twice"),
        (["-m", "random,shaply"], "did you mean 'shapley'?"),
        (["-m", "random,captum:KernalShap"], "did you mean 'captum:KernelShap'?"),
        (["-m", "random,captum:DeepLift"], "cannot explain these models"),
        (["-m", "random,saliency", "--set", "sed=1"], "no option of these methods named 'sed'; did you mean 'seed'?"),
        (["-m", "random,saliency", "--set", "saliency.seed=1"], "no option of method 'saliency' named 'seed'"),
        (["-m", "random,saliency", "--set", "randm.seed=1"], "did you mean 'random'?"),
    ],
)
def test_wrong_input_is_told_before_anything_is_made(arguments, told, loads, tmp_path):
    result = run("explain", "a dog", *arguments, "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert told in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert not loads
    assert not (tmp_path / "out").exists()


def test_a_colon_in_a_method_is_kept_out_of_folder_names(loads, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = run("explain", "a dog", "-m", "random,captum:FeatureAblation", "-d", "0.2", "--audio-repeats", 0)
    assert result.exit_code == 0, result.output
    (folder,) = (tmp_path / "tagxai-out").glob("a-dog-random-captum-FeatureAblation-*-0-*")
    assert (folder / method_folder("captum:FeatureAblation") / "explanation.json").is_file()


def test_an_explanation_takes_the_place_of_a_comparison_and_back(loads, tmp_path):
    compare(tmp_path, "random,cross_attention")
    compare(tmp_path, "random")
    assert not (tmp_path / "comparison.json").exists()
    compare(tmp_path, "random,cross_attention")
    assert not (tmp_path / "explanation.json").exists()


def test_the_page_shows_every_map_and_asks_nothing_of_a_network(loads, tmp_path):
    compare(tmp_path, "random,input_x_gradient", "--interval", "0:0.2")
    page = (tmp_path / "report.html").read_text()
    assert not re.search(r"https?:|//[a-z]|@import|url\(", re.sub(r'id="data">.*?</script>', "", page))
    data = json.loads(re.search(r'id="data">(.*?)</script>', page)[1])
    saved = Comparison.load(tmp_path)
    assert [method["name"] for method in data["methods"]] == ["random", "input_x_gradient"]
    for shown, explanation in zip(data["methods"], saved.explanations.values(), strict=True):
        scores = torch.frombuffer(bytearray(b64decode(shown["scores"])), dtype=torch.float32)
        assert torch.equal(scores, explanation.attribution.scores.flatten())
        assert f'href="{shown["name"]}/report.html"' in page
    assert page.count('class="heat"') == 2


def test_a_damaged_comparison_is_told(loads, tmp_path):
    compare(tmp_path, "random,cross_attention")
    file = tmp_path / "comparison.json"
    file.write_text(file.read_text().replace("cross_attention", "cross_atention"))
    result = run("show", tmp_path)
    assert result.exit_code == 2
    assert "it was changed after it was written" in result.stderr


# The values behind it


def explained(generation, scores, method="random"):
    return Explanation(Attribution(generation, scores, method, merge="mean"))


def test_agreement_is_that_of_ranks(generation):
    scores = torch.rand(1, generation.frames, len(generation.tokens), generator=torch.Generator().manual_seed(0))
    comparison = Comparison(
        {
            "a": explained(generation, scores),
            "scaled": explained(generation, scores * 3 + 1),
            "reversed": explained(generation, -scores),
            "constant": explained(generation, torch.ones_like(scores)),
        }
    )
    for matrix in (comparison.map_agreement(), comparison.word_agreement()):
        assert matrix[0] == (1.0, 1.0, -1.0, None)


def test_rank_correlation_is_spearmans_with_ties():
    stats = pytest.importorskip("scipy.stats")
    random = torch.Generator().manual_seed(1)
    a, b = (torch.randint(0, 6, (40,), generator=random).float() for _ in range(2))
    assert rank_correlation(a, b) == pytest.approx(stats.spearmanr(a, b).statistic, abs=1e-5)
    assert rank_correlation(a, torch.ones(40)) is None


def test_explanations_of_different_clips_are_not_compared(generation, explanation):
    other = replace(generation, record={"codes": generation.record["codes"].roll(1, 1)})
    with pytest.raises(TagxaiError, match="different clips"):
        Comparison({"a": Explanation(explanation), "b": explained(other, explanation.scores)})


def test_a_folder_that_is_not_a_comparison_is_told(tmp_path):
    (tmp_path / "comparison.json").write_text("{}")
    with pytest.raises(DamagedFileError, match="not a tagxai comparison"):
        Comparison.load(tmp_path)


def test_no_two_methods_share_a_folder_and_each_is_one_name_for_every_file_system():
    names = [
        "occlusion",
        "Occlusion",
        "x y",
        "x-y",
        "x_y",
        "X y",
        "../x",
        "x",
        "captum:KernelShap",
        "captum-KernelShap",
    ]
    names += ["scores", "", "..", "é", "e\u0301", "a" * 300, "a" * 301, "con:", "con/", method_folder("x y")]
    folders = [method_folder(name) for name in names]
    assert len({folder.casefold() for folder in folders}) == len(names)
    assert all(re.fullmatch(r"\w[\w-]{0,70}", folder, re.ASCII) for folder in folders)
    assert method_folder("input_x_gradient") == "input_x_gradient"
    assert method_folder("captum:KernelShap").startswith("captum-KernelShap-")


# methods NAME


@pytest.mark.parametrize("arguments", [["captum:KernelShap"], ["captum:KernelShap", "--help"]])
def test_a_method_of_captum_is_described_with_captums_options(arguments):
    result = run("methods", *arguments)
    assert result.exit_code == 0, result.output
    for pattern in (
        r"Lundberg, Lee",
        r"needs +attention",
        r"costs +n_samples coalitions",
        r"n_samples +25 +int +The number",
    ):
        assert re.search(pattern, result.stdout), pattern


def test_every_built_in_method_says_its_paper_needs_and_cost():
    for name, entry in registry().methods.items():
        if entry.origin == "tagxai" and entry.cls.expense != "not stated":
            shown = run("methods", name, "--help").stdout
            assert re.search(r"paper +\S", shown)
            assert f"costs  {entry.cls.expense}" in re.sub(r"costs +", "costs  ", shown)
    stated = {"audiogenx", "cross_attention", "gradient_shap", "input_x_gradient", "integrated_gradients", "random"}
    for name in stated | {"saliency", "shapley", "smooth_grad"}:
        assert registry().methods[name].cls.expense != "not stated"


def test_captums_methods_are_listed():
    assert "captum:ShapleyValueSampling" in run("list").stdout
    assert "captum:Lime" in json.loads(run("list", "--json").stdout)["methods"]
