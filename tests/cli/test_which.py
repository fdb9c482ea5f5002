"""Which method, which metric: the tables of `tagxai methods` and what `tagxai metrics NAME` says."""

import re

import measured
import pytest
from typer.testing import CliRunner

from tagxai import Generator
from tagxai.cli import app, which
from tagxai.contract.method import QUESTIONS
from tagxai.methods.alti import ALTI
from tagxai.methods.input_x_gradient import InputXGradient
from tagxai.methods.shapley import Shapley
from tagxai.registering.registry import load, registry


def run(*arguments):
    return CliRunner().invoke(app, list(arguments), prog_name="tagxai")


def test_every_built_in_method_has_a_family_that_answers_a_question():
    families = {name: entry.cls.family for name, entry in load(entry_points=False).methods.items()}
    assert "other" not in families.values()
    assert set(families.values()) <= set(QUESTIONS)
    assert (families["shapley"], families["alti"], families["random"]) == ("removal", "attention", "control")


def test_methods_are_a_table_by_question_with_costs_and_needs():
    printed = run("methods").stdout
    assert all(QUESTIONS[family] in printed for family in ("removal", "gradients", "attention"))
    for name, entry in registry().methods.items():
        (row,) = re.findall(rf"^{re.escape(name)} .*$", printed, re.MULTILINE)
        assert entry.cls.expense.split(";")[0][:30] in row


class Plain(Generator):
    """A generator that only runs forward."""

    name = "plain"
    offers = frozenset({"gradients"})


@pytest.mark.parametrize(
    ("method", "works"),
    [
        (Shapley, "yes, with operator=delete"),
        (InputXGradient, "yes"),
        (ALTI, "no: plain does not offer attention"),
    ],
)
def test_what_works_on_a_generator_is_said_with_the_setting_that_it_takes(method, works):
    assert which._works(method, Plain) == works


def test_methods_for_a_generator_say_which_work_there():
    result = run("methods", "--for", "tiny")
    assert "on tiny" in result.stdout
    assert re.search(r"^coupled_regeneration .*no: tiny does not offer coupled", result.stdout, re.MULTILINE)
    refused = run("methods", "--for", "tinny")
    assert refused.exit_code == 2
    assert "no generator named 'tinny'; did you mean 'tiny'?" in refused.output


def test_methods_for_a_loaded_model_know_what_its_layers_allow():
    printed = run("methods", "--for", "latent").stdout
    assert re.search(r"^alti .*no: attention site 'layer0.self' is scaled by the noise level", printed, re.MULTILINE)
    assert re.search(r"^value_zeroing .*yes", printed, re.MULTILINE)


def test_places_are_those_of_the_committed_results():
    assert measured.FILE.read_text(encoding="utf-8") == measured.text()
    row = re.search(r"^share_x_effect .*$", run("methods").stdout, re.MULTILINE)[0]
    assert "0.93 (1.)" in row


def test_metrics_and_generators_are_tables_of_what_they_need_and_offer():
    printed = run("metrics", "--for", "melody").stdout
    assert re.search(r"^hit_at_1 .*high .*no: it does not offer truth", printed, re.MULTILINE)
    assert re.search(r"^gini .*yes", printed, re.MULTILINE)
    printed = run("generators").stdout
    assert re.search(r"^tiny .*truth.*share_x_effect", printed, re.MULTILINE)


def test_a_metric_is_described_with_how_its_number_is_read():
    printed = run("metrics", "pointing_game").stdout
    assert "higher is better, from 0 to 1" in printed
    assert "truth" in printed
    assert "the method again" in run("metrics", "max_sensitivity").stdout
    assert "mask_size" in run("metrics").stdout


@pytest.mark.parametrize(("method", "setting"), [("shapley", "operator=value"), ("audiogenx", "mode=teacher_forced")])
def test_the_example_of_a_method_can_be_copied(method, setting):
    assert f"--method {method} --set {setting}\n" in run("methods", method).stdout
