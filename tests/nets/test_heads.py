import pytest
import torch

from aulight.nets.heads import IntensityRegressor, Predictors, Projector


@pytest.mark.parametrize("norm", ["batch", "group"])
def test_projector_works_on_vectors_of_any_shape(norm: str) -> None:
    torch.manual_seed(0)
    head, x = Projector(6, 16, 4, norm), torch.randn(3, 5, 2, 6)
    with torch.autocast("cpu", torch.bfloat16):
        out = head(x)
    assert out.dtype == torch.float32
    assert out.shape == (3, 5, 2, 4)
    torch.testing.assert_close(out.flatten(0, 2), head(x.flatten(0, 2)))
    # The last norm is without scale and shift: over rows (batch) or within each row (group).
    axis = 0 if norm == "batch" else 1
    torch.testing.assert_close(out.reshape(-1, 4).mean(axis), torch.zeros(4 if axis == 0 else 30))


def test_predictors_differ_by_horizon() -> None:
    torch.manual_seed(0)
    head, x = Predictors([0, 2], 6, 16, 4).eval(), torch.randn(3, 5, 6)
    assert head.horizons == (0, 2)
    assert head(x, 0).shape == (3, 5, 4)
    assert not torch.allclose(head(x, 0), head(x, 2))
    # Heads compute each vector alone once trained.
    torch.testing.assert_close(head(x[:, :2], 2), head(x, 2)[:, :2])


def test_regressor_starts_at_the_mean_and_clips_only_predictions() -> None:
    torch.manual_seed(0)
    head = IntensityRegressor(6, 3)
    features = torch.randn(2, 4, 6, 2, 2)
    assert not head(features).any()
    mean, std = torch.tensor([0.5, 2.0, 1.0]), torch.tensor([0.5, 2.0, 1.0])
    head.set_scale(mean, std)
    torch.testing.assert_close(head.predict(features), mean.expand(2, 4, 3))
    torch.nn.init.normal_(head.linear.weight, std=5)
    outputs = head(features)
    torch.testing.assert_close(outputs, head.linear(features.mean((-2, -1))))
    assert outputs.min() < -1
    torch.testing.assert_close(head.predict(features), (outputs * std + mean).clamp(0, 5))


def test_standardise_is_the_inverse_of_predict() -> None:
    head = IntensityRegressor(3, 3)
    torch.nn.init.eye_(head.linear.weight)
    labels = torch.tensor([[[0.0, 1.0, 5.0], [3.0, 2.0, 4.0]]])
    head.set_scale(torch.tensor([1.0, 2.0, 0.3]), torch.tensor([0.5, 1.5, 0.1]))
    torch.testing.assert_close(head.predict(head.standardise(labels)[..., None, None]), labels)
    assert head.standardise(torch.tensor([float("nan"), 1.0, 1.0])).isnan().tolist() == [True, False, False]


def test_scale_of_constant_and_unknown_labels_and_of_a_checkpoint() -> None:
    head = IntensityRegressor(2, 3)
    head.set_scale(torch.tensor([0.0, float("nan"), 1.0]), torch.tensor([0.0, float("nan"), 2.0]))
    assert head.mean.tolist() == [0, 0, 1]
    assert head.std.tolist() == [1, 1, 2]
    other = IntensityRegressor(2, 3)
    other.load_state_dict(head.state_dict())
    assert torch.equal(other.std, head.std)


def test_a_regressor_with_a_reference_says_what_that_is_of() -> None:
    """Oracle: the two maps by hand; and rescaled as intensities less their reference are."""
    torch.manual_seed(0)
    head, features = IntensityRegressor(6, 3, own=2), torch.randn(2, 4, 6, 1, 2)
    assert head.relative is not None
    head.set_scale(torch.tensor([0.5, 2.0, 1.0]), torch.tensor([0.5, 2.0, 1.0]))
    torch.nn.init.normal_(head.linear.weight)
    torch.nn.init.normal_(head.relative.weight)
    torch.nn.init.normal_(head.usual)
    pooled = features.mean((-2, -1))
    own = pooled[..., 4:] @ head.relative.weight.T
    torch.testing.assert_close(head.own(features), own)
    torch.testing.assert_close(head.own(features[:, :, 4:]), own)  # of an embedding alone
    torch.testing.assert_close(head(features), head.linear(pooled) + own)
    said, parts = head.predict(features).chunk(2, -1)
    torch.testing.assert_close(said, head(features) * head.std + head.mean)
    torch.testing.assert_close(parts, own * head.std)
    slope, offset, usual = torch.tensor([2.0, 1.0, 0.5]), torch.tensor([0.1, 0.0, -0.3]), head.usual.clone()
    head.rescale(slope, offset)
    after = head.predict(features).chunk(2, -1)
    torch.testing.assert_close(after[0] - after[1], slope * (said - parts) + offset)
    torch.testing.assert_close(after[1], slope * parts)
    torch.testing.assert_close(head.usual, slope * usual)


def test_one_without_has_the_weights_that_it_always_had() -> None:
    assert list(IntensityRegressor(2, 3).state_dict()) == ["mean", "std", "linear.weight", "linear.bias"]
