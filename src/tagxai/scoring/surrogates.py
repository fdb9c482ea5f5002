"""Surrogate models: the linear model of units kept that fits a score table best, by several definitions of "best".

Each takes `masks[coalitions, units]` and `values[coalitions, *outputs]`, fits every output by itself, and gives the
coefficients `[units, *outputs]`.
"""

from __future__ import annotations

from tagxai.lazy import Bool, Float, torch


def banzhaf_values(
    masks: Bool[torch.Tensor, "coalitions units"], values: Float[torch.Tensor, " coalitions *outputs"]
) -> Float[torch.Tensor, " units *outputs"]:
    """Plain least squares with an intercept. Over all subsets its coefficients are the Banzhaf values, the gain by a
    unit averaged over all subsets of the others (Banzhaf 1965; Hammer & Holzman 1992); over subsets drawn at random,
    each unit with probability 1/2, an estimate of them.
    """
    kept, outputs = masks.double(), _flat(values)
    centred = kept - kept.mean(0)
    return _shaped(_solve(centred.T @ centred, centred.T @ outputs), values)


def lime(
    masks: Bool[torch.Tensor, "coalitions units"],
    values: Float[torch.Tensor, " coalitions *outputs"],
    *,
    kernel_width: float = 0.25,
    penalty: float = 0.001,
) -> Float[torch.Tensor, " units *outputs"]:
    """Ridge regression, coalitions near the whole prompt weighing most (LIME; Ribeiro et al., KDD 2016, section 3.3).

    The weight is exp(-D^2 / kernel_width^2) for the cosine distance D = 1 - sqrt(kept / units), divided by the sum of
    all weights. `penalty` multiplies the squared coefficients, each times its unit's weighted variance, as for units of
    unit variance: with a single unit, nearly all the weight is on its presence, and an unscaled penalty would shrink it
    to nothing. The intercept is free.
    """
    kept = masks.double()
    distance = 1 - kept.mean(1).sqrt()
    weight = (-((distance / kernel_width) ** 2)).exp()
    weight = weight / weight.sum()
    inputs, outputs = kept - weight @ kept, _flat(values)
    outputs = outputs - weight @ outputs  # both centred under the weights, which takes the intercept out
    weighted = inputs * weight[:, None]
    normal = weighted.T @ inputs
    return _shaped(_solve(normal + penalty * normal.diag().diag(), weighted.T @ outputs), values)


def kernel_shap(
    masks: Bool[torch.Tensor, "coalitions units"], values: Float[torch.Tensor, " coalitions *outputs"]
) -> Float[torch.Tensor, " units *outputs"]:
    """Least squares under the Shapley kernel, exact on none and all (Lundberg & Lee, NeurIPS 2017, section 4.1).

    Needs these two coalitions. With all subsets the coefficients are the Shapley values. With some, drawn so that those
    of one size are equally likely, they are an estimate: the kernel's share of each size is divided among those drawn.
    """
    units, sizes = masks.shape[1], masks.sum(1)
    whole, none = (sizes == units).nonzero(), (sizes == 0).nonzero()
    if not len(whole) or not len(none):
        raise ValueError("kernel SHAP needs the coalition of all units and that of none")
    outputs = _flat(values)
    base, gain = outputs[none[0, 0]], outputs[whole[0, 0]] - outputs[none[0, 0]]
    inner = (sizes > 0) & (sizes < units)
    inputs, size = masks[inner].double(), sizes[inner]
    weighted = inputs * ((units - 1) / (size * (units - size) * size.bincount()[size]).double())[:, None]
    # the coefficients add up to the gain: one more equation, and a Lagrange multiplier
    ones = torch.ones(units, 1, dtype=torch.float64)
    bordered = torch.cat([torch.cat([weighted.T @ inputs, ones], 1), torch.cat([ones.T, ones.new_zeros(1, 1)], 1)])
    right = torch.cat([weighted.T @ (outputs[inner] - base), gain[None]])
    return _shaped(_solve(bordered, right)[:-1], values)


def context_cite(
    masks: Bool[torch.Tensor, "coalitions units"],
    values: Float[torch.Tensor, " coalitions *outputs"],
    *,
    penalty: float = 0.01,
    rounds: int = 1000,
    tolerance: float = 1e-7,
) -> Float[torch.Tensor, " units *outputs"]:
    """The LASSO, which leaves few units (ContextCite; Cohen-Wang et al., NeurIPS 2024, section 3).

    Minimises 1/2 mean squared error + `penalty` * the sum of absolute coefficients, of units scaled to unit variance
    over the coalitions, by coordinate descent on all outputs together; then scaled back. The intercept is free.
    """
    kept, outputs = masks.double(), _flat(values)
    spread = kept.std(0, correction=0)
    varies = spread > 0  # a unit that is never away, or never there, explains nothing
    inputs = (kept - kept.mean(0)) / torch.where(varies, spread, 1.0)
    gram = inputs.T @ inputs / len(masks)
    target = inputs.T @ (outputs - outputs.mean(0)) / len(masks)
    coefficients = torch.zeros_like(target)
    for _ in range(rounds):
        moved = 0.0
        for unit in varies.nonzero()[:, 0].tolist():
            old = coefficients[unit].clone()
            rest = target[unit] - gram[unit] @ coefficients + old  # gram[unit, unit] is 1
            coefficients[unit] = rest.sign() * (rest.abs() - penalty).clamp(min=0)
            moved = max(moved, (coefficients[unit] - old).abs().max().item())
        if moved <= tolerance * max(1.0, coefficients.abs().max().item()):
            break
    return _shaped(coefficients / torch.where(varies, spread, 1.0)[:, None], values)


def _flat(values: torch.Tensor) -> torch.Tensor:
    return values.double().reshape(len(values), -1)


def _shaped(coefficients: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    return coefficients.reshape(-1, *values.shape[1:]).to(values.dtype)


def _solve(matrix: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """The solution of least norm: too few coalitions leave some units undecided, and those then share equally."""
    return torch.linalg.lstsq(matrix, right, driver="gelsd").solution
