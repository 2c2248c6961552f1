"""Distances between target vectors, computed in float64 so that equal targets tie exactly.

A target distance takes targets `a` (m, D) and `b` (n, D) and returns all m x n distances. The functions here use
only elementwise operations, one target dimension after the other: two pairs with the same numbers get the same
distance at any position in the matrix, and equal rows have distance exactly 0.
"""

from collections.abc import Callable

import torch
from torch import Tensor

TargetDistance = Callable[[Tensor, Tensor], Tensor]
"""(m, D) and (n, D) float64 targets to (m, n) distances, symmetric and 0 for equal rows."""


def l1_distance(a: Tensor, b: Tensor) -> Tensor:
    """Sum of absolute differences over the dimensions, in the units of the targets.

    Args:
        a: Targets (m, D).
        b: Targets (n, D).

    Returns:
        Distances (m, n).

    >>> l1_distance(torch.tensor([[0.0, 1.0]]), torch.tensor([[2.0, 5.0], [0.0, 1.0]]))
    tensor([[6., 0.]])
    """
    total = (a[:, None, 0] - b[None, :, 0]).abs_()
    for dim in range(1, a.shape[1]):
        total += (a[:, None, dim] - b[None, :, dim]).abs_()
    return total


def l2_distance(a: Tensor, b: Tensor) -> Tensor:
    """Euclidean distance, in the units of the targets.

    Args:
        a: Targets (m, D).
        b: Targets (n, D).

    Returns:
        Distances (m, n).

    >>> l2_distance(torch.tensor([[0.0, 1.0]]), torch.tensor([[3.0, 5.0], [0.0, 1.0]]))
    tensor([[5., 0.]])
    """
    if a.shape[1] == 1:  # without a square nothing can underflow
        return l1_distance(a, b)
    total = (a[:, None, 0] - b[None, :, 0]).square_()
    for dim in range(1, a.shape[1]):
        total += (a[:, None, dim] - b[None, :, dim]).square_()
    return total.sqrt_()


def gaze_vectors(pitch_yaw: Tensor) -> Tensor:
    """Unit gaze vectors (-cos p sin y, -sin p, -cos p cos y), the convention of MPIIGaze and L2CS-Net.

    Args:
        pitch_yaw: Pitch and yaw in radians (..., 2).

    Returns:
        Unit vectors (..., 3); pitch 0 and yaw 0 look along -z.

    >>> gaze_vectors(torch.zeros(2)).add(0.0)
    tensor([ 0., 0., -1.])
    """
    pitch, yaw = pitch_yaw[..., 0], pitch_yaw[..., 1]
    return torch.stack((-pitch.cos() * yaw.sin(), -pitch.sin(), -pitch.cos() * yaw.cos()), dim=-1)


def angular_distance(a: Tensor, b: Tensor) -> Tensor:
    """Angle between gaze directions given as (pitch, yaw), all in radians.

    Computed by atan2 of the cross and the dot product, which is accurate at small angles where arccos is not.

    Args:
        a: Pitch and yaw in radians (m, 2).
        b: Pitch and yaw in radians (n, 2).

    Returns:
        Angles (m, n) in [0, pi].

    Raises:
        ValueError: If the targets do not have two columns.

    >>> yaws = torch.tensor([[0.0, 0.25], [0.0, 1.0]], dtype=torch.float64)
    >>> round(angular_distance(yaws, yaws)[0, 1].item(), 12)
    0.75
    """
    if a.shape[-1] != 2 or b.shape[-1] != 2:
        raise ValueError(
            f"targets must have 2 columns (pitch, yaw) for the angular distance, got {a.shape[-1]}; "
            "choose target_distance='l1' or 'l2' for other targets"
        )
    u0, u1, u2 = gaze_vectors(a)[:, None].unbind(-1)
    v0, v1, v2 = gaze_vectors(b).unbind(-1)
    cross = (u1 * v2 - u2 * v1).square_()
    cross += (u2 * v0 - u0 * v2).square_()
    cross += (u0 * v1 - u1 * v0).square_()
    return torch.atan2(cross.sqrt_(), u0 * v0 + u1 * v1 + u2 * v2)


def angular_degrees_distance(a: Tensor, b: Tensor) -> Tensor:
    """Angle between gaze directions given as (pitch, yaw), all in degrees.

    Args:
        a: Pitch and yaw in degrees (m, 2).
        b: Pitch and yaw in degrees (n, 2).

    Returns:
        Angles (m, n) in [0, 180].

    Raises:
        ValueError: If the targets do not have two columns.
    """
    return torch.rad2deg(angular_distance(torch.deg2rad(a), torch.deg2rad(b)))


_NAMED: dict[str, TargetDistance] = {
    "l1": l1_distance,
    "l2": l2_distance,
    "angular": angular_distance,
    "angular_degrees": angular_degrees_distance,
}


def resolve_target_distance(distance: str | TargetDistance) -> TargetDistance:
    """Look up a distance by name; a callable is returned as it is.

    Args:
        distance: "l1", "l2", "angular" (pitch and yaw in radians), "angular_degrees", or any function of targets
            (m, D) and (n, D), both float64, that returns distances (m, n).

    Returns:
        The distance function.

    Raises:
        ValueError: If the name is unknown or the argument is neither a name nor callable.

    >>> resolve_target_distance("l1") is l1_distance
    True
    """
    if isinstance(distance, str) and distance in _NAMED:
        return _NAMED[distance]
    if callable(distance):
        return distance
    names = ", ".join(repr(name) for name in _NAMED)
    raise ValueError(f"target_distance must be one of {names}, or a callable, got {distance!r}")
