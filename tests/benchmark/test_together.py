"""What is done together in a job, the explanations of its clips and the clips of its metrics, changes no table."""

import pytest
from bench_helpers import CONTROLS, PROMPTS, csv_of, plan

from tagxai.benchmark import results
from tagxai.benchmark.running import run
from tagxai.contract.method import Method
from tagxai.methods.audiogenx import AudioGenX
from tagxai.metrics.kl import FactualKL

LISTENING = {
    "methods": ["cross_attention", "occlusion"],
    "metrics": ["kl_f(classifier=detector)", {"name": "removal_1", "classifier": "detector", "prompts": 1}],
}
PLAN = {"methods": ["audiogenx(epochs=2)", "cross_attention"]}


@pytest.fixture
def alone(tmp_path, monkeypatch):
    """The table where no method explains clips together."""
    with monkeypatch.context() as patch:
        patch.setattr(Method, "explains_together", False)
        run(plan(**PLAN), tmp_path / "alone")
    assert all(cell.value is not None for cell in results.load(tmp_path / "alone").cells)
    return csv_of(tmp_path / "alone")


@pytest.fixture
def together(monkeypatch):
    """The prompts of each batch."""
    batches, own = [], AudioGenX.attribute_many

    def attribute_many(self, generator, clips, **options):
        batches.append([clip.prompt for clip in clips])
        return own(self, generator, clips, **options)

    monkeypatch.setattr(AudioGenX, "attribute_many", attribute_many)
    return batches


def test_clips_of_a_job_are_explained_together_with_the_same_tables(alone, together, tmp_path, monkeypatch):
    monkeypatch.setattr(AudioGenX, "attribute", lambda *_, **__: pytest.fail("a clip was explained alone"))
    run(plan(**PLAN), tmp_path / "together")
    assert together == [PROMPTS]
    assert csv_of(tmp_path / "together") == alone
    run(plan(**PLAN, seeds=[0, 1]), tmp_path / "together")
    assert together == [PROMPTS, PROMPTS]  # of the new seed alone
    costs = [cell.seconds for cell in results.load(tmp_path / "together").cells if "audiogenx" in cell.method]
    assert min(costs) > 0


@pytest.mark.parametrize("how", ["raises", "leaves a hook"])
def test_where_a_batch_fails_its_clips_are_explained_one_by_one(how, alone, tmp_path, monkeypatch):
    own = AudioGenX.attribute_many

    def attribute_many(self, generator, clips, **options):
        if how == "raises":
            raise RuntimeError("no")
        for model in generator.modules().values():
            model.register_forward_hook(lambda *_: None)
        return own(self, generator, clips, **options)

    monkeypatch.setattr(AudioGenX, "attribute_many", attribute_many)
    run(plan(**PLAN), tmp_path / "failed")
    assert csv_of(tmp_path / "failed") == alone


@pytest.mark.parametrize("how", ["works", "raises", "leaves a hook"])
def test_metrics_prepare_for_all_explanations_of_a_clip_with_the_same_tables(how, tmp_path, monkeypatch):
    own, prepared = FactualKL.prepare, []

    def prepare(self, generator, attributions):
        prepared.append(len(attributions))
        if how == "raises":
            raise RuntimeError("no")
        if how == "leaves a hook":
            for model in generator.modules().values():
                model.register_forward_hook(lambda *_: None)
        return own(self, generator, attributions)

    with monkeypatch.context() as patch:
        patch.setattr(FactualKL, "prepare", lambda *_: None)
        run(plan(**LISTENING), tmp_path / "alone")
    assert all(cell.value is not None for cell in results.load(tmp_path / "alone").cells)
    monkeypatch.setattr(FactualKL, "prepare", prepare)
    run(plan(**LISTENING), tmp_path / "prepared")
    assert prepared == [2 + len(CONTROLS)] * len(PROMPTS)
    assert csv_of(tmp_path / "prepared") == csv_of(tmp_path / "alone")
