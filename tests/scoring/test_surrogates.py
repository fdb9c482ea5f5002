"""Linear surrogates (LIME, ContextCite, KernelSHAP): what they minimise, and what a few coalitions tell them."""

import pytest
import torch
from games import VALUES, N, approx, every, rough, scored

from tagxai.scoring import banzhaf_values, context_cite, lime, random_subsets


def test_surrogates_recover_a_linear_game_from_a_few_subsets():
    truth = torch.linspace(-2, 3, 9).double()
    for name in ("banzhaf", "kernel_shap", "lime", "context_cite"):
        masks = random_subsets(9, 40, by_size=name in ("kernel_shap", "lime"), seed=4)
        assert len(masks) == 40
        found = VALUES[name](masks, masks.double() @ truth + 5)
        torch.testing.assert_close(found, truth, atol=1e-4, rtol=1e-4)


def test_lime_minimises_its_weighted_squares_and_penalty():
    width, penalty, values = 0.3, 0.02, scored(rough, every())
    found = lime(every(), values, kernel_width=width, penalty=penalty).requires_grad_()
    intercept = torch.zeros((), dtype=torch.float64, requires_grad=True)
    full = torch.ones(N).double()
    weights = []
    for row in every().double():
        similarity = row @ full / (row.norm() * full.norm()) if row.any() else torch.tensor(0.0)
        weights.append(torch.exp(-((1 - similarity) ** 2) / width**2))
    weights = torch.stack(weights) / sum(weights)
    variance = (weights[:, None] * (every().double() - weights @ every().double()) ** 2).sum(0)

    def loss(coefficients, intercept):
        error = values - every().double() @ coefficients - intercept
        return (weights * error**2).sum() + penalty * (variance * coefficients**2).sum()

    with torch.no_grad():  # the intercept is free: its best value is the weighted mean of what is left
        intercept.copy_((weights * (values - every().double() @ found)).sum())
    gradients = torch.autograd.grad(loss(found, intercept), (found, intercept))
    for gradient in gradients:
        assert gradient.abs().max().item() == approx(0)


@pytest.mark.parametrize("units", [1, 2, 3])
@pytest.mark.parametrize("width", [0.1, 0.25, 1.0])
def test_the_penalty_of_lime_takes_its_small_share_however_few_the_units_are(units, width):
    masks = random_subsets(units, 256)
    found = lime(masks, 3.71 * masks[:, 0].double() - 50, kernel_width=width, penalty=0.001)
    assert found.tolist() == pytest.approx([3.71] + [0.0] * (units - 1), abs=0.02)


def test_context_cite_is_the_lasso_of_scikit_learn():
    linear_model = pytest.importorskip("sklearn.linear_model")
    masks = random_subsets(7, 50, seed=1)
    truth = torch.tensor([3.0, 0, 0, -1, 0, 0.1, 0]).double()
    noise = torch.randn(50, generator=torch.Generator().manual_seed(2)).double()
    values = masks.double() @ truth + 0.3 * noise
    spread = masks.double().std(0, correction=0)
    inputs = (masks.double() - masks.double().mean(0)) / spread
    expected = linear_model.Lasso(alpha=0.2, tol=1e-10, max_iter=10000).fit(inputs.numpy(), values.numpy())
    found = context_cite(masks, values, penalty=0.2)
    torch.testing.assert_close(found, torch.from_numpy(expected.coef_) / spread, atol=1e-5, rtol=1e-4)
    assert (found != 0).tolist() == [True, False, False, True, False, False, False]


def test_a_unit_that_is_never_away_gets_nothing_from_a_surrogate():
    masks = every()[every()[:, 0]]
    for function in (lime, context_cite, banzhaf_values):
        assert function(masks, scored(rough, masks))[0].item() == approx(0)
