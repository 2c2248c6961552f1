import pandas as pd
import pytest

from rnc_lightning.reports.comparison import by_seed, gain_text, mean_text
from rnc_lightning.reports.markdown import markdown_table
from rnc_lightning.reports.published import change_text, find_pair, find_value, published_lines, read_published
from rnc_lightning.reports.statistics import Gain


def test_rows_of_a_seed_are_averaged_and_missing_values_skipped() -> None:
    frame = pd.DataFrame(
        {
            "method": ["l1", "l1", "l1", "l1", "rnc"],
            "level": [1, 2, 1, 1, 1],
            "seed": [3, 3, 0, 5, 3],
            "mae": [2.0, 4.0, 7.0, None, 100.0],
        }
    )
    assert by_seed(frame, "mae", method="l1") == {0: 7.0, 3: 3.0}
    assert by_seed(frame, "mae", method="l1", level=1) == {0: 7.0, 3: 2.0}
    assert by_seed(frame, "mae", method="none") == {}
    assert by_seed(frame.assign(mae=None), "mae") == {}


def test_texts() -> None:
    assert mean_text({0: 1.0, 4: 2.0, 2: 3.0}, 1) == "2.0 ± 1.0"
    assert gain_text(Gain(-1.234, -2.0, 0.5, 3)) == "-1.23 [-2.00, +0.50]"
    assert gain_text(Gain(1.234, None, None, 1), 1) == "+1.2"
    assert gain_text(None) == "-"


def test_cells_of_markdown_keep_their_bars() -> None:
    lines = markdown_table(["a|b", "n"], [["x | y", "1"], ["z", "2"]]).splitlines()
    assert lines == ["| a\\|b | n |", "| --- | ---: |", "| x \\| y | 1 |", "| z | 2 |"]


def test_published_values_are_those_of_the_paper_s_tables() -> None:
    assert find_value(read_published("corruptions"), method="rnc_l1", severity=4) == 9.60
    assert find_value(read_published("reduced_data"), method="l1", train_size=2000) == 18.60
    assert find_value(read_published("ablations"), "r2", factor="positives", level="384") == 0.845
    where = {"source": "agedb", "dataset": "imdb_wiki_2k"}
    assert find_value(read_published("transfer"), scheme="fine_tune", method="rnc_l1", **where) == 11.09
    assert (
        find_value(read_published("unseen_targets"), label_distribution="second", method="l1", targets="unseen")
        == 14.98
    )
    with pytest.raises(ValueError, match="unpack"):  # two methods have it
        find_value(read_published("corruptions"), severity=4)


def test_published_changes_pairs_and_lines() -> None:
    assert change_text(18.6, 15.09, "IMDB-WIKI") == "+18.9 % (IMDB-WIKI: 18.60 to 15.09 years)"
    frame = read_published("reduced_data")
    assert find_pair(frame, train_size=2000) == (18.60, 15.09)
    assert published_lines(frame, "train_size")["RnC(L1)"][2000] == [15.09]
