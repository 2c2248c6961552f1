import numpy as np
import pytest

from rnc_lightning.datasets.reading.imputation import filled, fit_fill
from rnc_lightning.system.errors import UserError

NAN = np.nan


@pytest.mark.parametrize(("method", "fill"), [("mean", [3.0, 5.0]), ("median", [2.0, 5.0])])
def test_missing_values_get_the_average_of_the_others(method: str, fill: list[float]) -> None:
    training = np.array([[1.0, NAN], [2.0, 5.0], [6.0, NAN], [NAN, NAN]])
    found = fit_fill(training, method, ["a", "b"], "my.csv")
    assert found.tolist() == fill
    assert filled(np.array([[NAN, 7.0], [8.0, NAN]]), found).tolist() == [[fill[0], 7.0], [8.0, fill[1]]]


def test_a_column_without_any_value_is_named() -> None:
    with pytest.raises(UserError, match=r"my\.csv: the input b has no value in any training row.*data\.exclude=\[b\]"):
        fit_fill(np.array([[1.0, NAN], [2.0, NAN]]), "mean", ["a", "b"], "my.csv")
