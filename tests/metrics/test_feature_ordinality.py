import math

import numpy as np
import pytest
import torch
from scipy.stats import kendalltau, rankdata, spearmanr

from rnc_lightning.metrics import FeatureOrdinality, feature_ordinality


def slow_ordinality(features, targets, anchors=None, distance=None):
    """One anchor at a time, the correlations by scipy; undefined anchors are left out."""
    z = np.asarray(features, dtype=np.float64)
    y = np.asarray(targets, dtype=np.float64).reshape(len(z), -1)
    distance = distance or (lambda a, b: np.abs(a - b).sum())
    rhos, taus = [], []
    for i in range(len(z)) if anchors is None else anchors:
        others = [j for j in range(len(z)) if j != i]
        similarity = [-math.sqrt(((z[i] - z[j]) ** 2).sum()) for j in others]
        closeness = [-distance(y[i], y[j]) for j in others]
        if len(set(similarity)) > 1 and len(set(closeness)) > 1:
            rhos.append(spearmanr(similarity, closeness).statistic)
            taus.append(kendalltau(similarity, closeness, variant="b").statistic)
    return {"spearman": np.mean(rhos), "kendall": np.mean(taus)}


def random_case(n=40, f=5, d=1, seed=0):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 12, (n, d)).astype(np.float32)  # many ties
    z = (y @ rng.normal(size=(d, f)) + 2 * rng.normal(size=(n, f))).astype(np.float32)
    z[3] = z[7]  # tied features too
    return torch.tensor(z), torch.tensor(y)


def count_kendall(a, b):
    """Tau-b from its definition: over all pairs, without scipy."""
    concordant = ties_a = ties_b = pairs = 0
    for i in range(len(a)):
        for j in range(i):
            p, q = np.sign(a[i] - a[j]), np.sign(b[i] - b[j])
            pairs, concordant = pairs + 1, concordant + p * q
            ties_a, ties_b = ties_a + (p == 0), ties_b + (q == 0)
    return concordant / math.sqrt((pairs - ties_a) * (pairs - ties_b))


def test_order_1324_against_1234():
    # As seen from the first anchor the others lie at 1, 2, 3, 4 by label and 1, 3, 2, 4 by feature.
    z, y = torch.tensor([[0.0], [1.0], [3.0], [2.0], [4.0]]), torch.tensor([0.0, 1.0, 2.0, 3.0, 4.0])
    first = feature_ordinality(z, y, max_anchors=1)
    assert first["spearman"] == pytest.approx(0.8, abs=1e-12)
    assert first["kendall"] == pytest.approx(2 / 3, abs=1e-12)


@pytest.mark.parametrize("d", [1, 2])
def test_equals_scipy_one_anchor_at_a_time(d):
    z, y = random_case(d=d)
    assert feature_ordinality(z, y) == pytest.approx(slow_ordinality(z, y), abs=1e-12)


def test_ties_by_definition():
    z, y = random_case(n=20)
    distances = np.sqrt(((z.double()[:, None] - z.double()) ** 2).sum(-1).numpy())
    labels = (y.double() - y.double().T).abs().numpy()
    rhos, taus = [], []
    for i in range(20):
        a, b = np.delete(distances[i], i), np.delete(labels[i], i)
        assert len(set(b)) < 15  # ties there are
        rhos.append(np.corrcoef(rankdata(a), rankdata(b))[0, 1])
        taus.append(count_kendall(a, b))
    expected = {"spearman": np.mean(rhos), "kendall": np.mean(taus)}
    assert feature_ordinality(z, y) == pytest.approx(expected, abs=1e-12)


def test_more_anchors_than_one_chunk():
    z, y = random_case(n=300, f=3)
    assert feature_ordinality(z, y) == pytest.approx(slow_ordinality(z, y), abs=1e-12)


def test_a_subset_of_anchors_is_evenly_spaced_and_meets_all_samples():
    z, y = random_case(n=31)
    expected = slow_ordinality(z, y, anchors=[0, 10, 20, 30])
    assert feature_ordinality(z, y, max_anchors=4) == pytest.approx(expected, abs=1e-12)
    assert feature_ordinality(z, y, max_anchors=31) == feature_ordinality(z, y, max_anchors=None)


def test_targets_may_have_a_distance_of_their_own():
    z, y = random_case(d=2)
    given = feature_ordinality(z, y, target_distance=lambda a, b: (a[:, None] - b).abs().amax(-1))
    expected = slow_ordinality(z, y, distance=lambda a, b: np.abs(a - b).max())
    assert given == pytest.approx(expected, abs=1e-12)
    euclid = slow_ordinality(z, y, distance=lambda a, b: np.sqrt(((a - b) ** 2).sum()))
    assert feature_ordinality(z, y, target_distance="l2") == pytest.approx(euclid, abs=1e-12)


def test_equal_features_far_from_the_origin_tie_exactly():
    # A matrix product would give these distances rounding noise and so an order of their own.
    z = torch.full((30, 16), 1e4) + torch.arange(16) / 7
    assert all(math.isnan(v) for v in feature_ordinality(z, torch.arange(30.0)).values())
    z[0] += 1e-3
    # Seen from any other anchor one sample differs; seen from the first, all are equally far: undefined.
    assert feature_ordinality(z, torch.arange(30.0)) == pytest.approx(slow_ordinality(z, torch.arange(30.0)), abs=1e-12)


def test_anchors_without_a_correlation_are_left_out():
    # All others are at the same label distance from the first anchor, and only from it.
    y = torch.tensor([0.0, 1.0, 1.0, -1.0])
    z = torch.tensor([[0.0], [1.0], [1.5], [-1.0]])
    assert math.isnan(feature_ordinality(z, y, max_anchors=1)["spearman"])
    assert feature_ordinality(z, y) == pytest.approx(slow_ordinality(z, y, anchors=[1, 2, 3]), abs=1e-12)


@pytest.mark.parametrize(
    ("z", "y"),
    [
        (torch.ones(6, 3), torch.arange(6.0)),
        (torch.rand(6, 3), torch.ones(6)),
        (torch.rand(2, 3), torch.arange(2.0)),
        (torch.tensor([[0.0], [1.0], [math.nan], [3.0]]), torch.arange(4.0)),
        (torch.rand(4, 3), torch.tensor([0.0, math.nan, 1.0, math.nan])),
    ],
    ids=["constant features", "constant labels", "two samples", "nan feature", "two labels"],
)
def test_undefined_is_nan(z, y):
    assert all(math.isnan(v) for v in feature_ordinality(z, y).values())


@pytest.mark.parametrize("d", [1, 2])
def test_batches_give_the_whole(d):
    z, y = random_case(n=37, d=d)
    metric = FeatureOrdinality(max_anchors=None)
    for part in torch.arange(37).split(10):  # 10, 10, 10, 7
        metric.update(z[part], y[part] if d > 1 else y[part, 0])
    values = {name: value.item() for name, value in metric.compute().items()}
    assert values == feature_ordinality(z, y, max_anchors=None)


def test_half_precision_features_are_compared_as_computed():
    z, y = random_case()
    metric = FeatureOrdinality()
    metric.update(z.bfloat16(), y)
    assert metric.compute()["kendall"].item() == feature_ordinality(z.bfloat16().float(), y)["kendall"]


def test_reset_forgets():
    z, y = random_case()
    metric = FeatureOrdinality()
    metric.update(torch.rand(5, 5), torch.rand(5, 1))
    metric.reset()
    metric.update(z, y)
    assert metric.compute()["spearman"].item() == feature_ordinality(z, y)["spearman"]


@pytest.mark.filterwarnings("ignore:The ``compute`` method")
def test_samples_with_a_missing_label_are_ignored():
    generator = torch.Generator().manual_seed(0)
    z, y = torch.rand(12, 3, generator=generator), torch.rand(12, 2, generator=generator)
    expected = feature_ordinality(z[2:], y[2:])
    y[0, 0] = y[1, 1] = math.nan
    assert feature_ordinality(z, y) == expected


def test_labels_in_float64_keep_their_digits():
    """Unix seconds: in float32, steps of 128 seconds would all tie."""
    seconds = 1.7e9 + torch.arange(40, dtype=torch.float64)
    metric = FeatureOrdinality()
    metric.update(torch.arange(40.0)[:, None], seconds)
    assert metric.compute()["spearman"].item() == pytest.approx(1)


def test_nothing_seen_is_nan():
    assert math.isnan(FeatureOrdinality().compute()["kendall"].item())


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: feature_ordinality(torch.zeros(3), torch.zeros(3)), "features"),
        (lambda: feature_ordinality(torch.zeros(3, 2), torch.zeros(4)), "same n"),
        (lambda: feature_ordinality(torch.zeros(3, 2), torch.zeros(3), max_anchors=0), "max_anchors"),
        (lambda: FeatureOrdinality(max_anchors=0), "max_anchors"),
        (lambda: FeatureOrdinality(target_distance="nearness"), "nearness"),
        (lambda: FeatureOrdinality().update(torch.zeros(3, 2), torch.zeros(4)), "same n"),
    ],
)
def test_bad_input(make, message):
    with pytest.raises(ValueError, match=message):
        make()
