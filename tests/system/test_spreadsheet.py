"""Cells that a spreadsheet program would run as formulas."""

import pandas as pd

from rnc_lightning.system.spreadsheet import without_formulas


def test_only_texts_that_begin_like_formulas_change() -> None:
    table = pd.DataFrame({"=a": ["=1", "+x", "-1.5", "b", None], "n": [-1.0, 2.0, 3.0, 4.0, 5.0]})
    changed = without_formulas(table)
    assert list(changed.columns) == ["'=a", "n"]
    assert changed["'=a"].tolist()[:4] == ["'=1", "'+x", "-1.5", "b"]
    assert changed["n"].tolist() == table["n"].tolist()
    as_string = without_formulas(table.astype({"=a": "string"}))
    assert as_string.iloc[0, 0] == "'=1"
    assert table.columns[0] == "=a"
