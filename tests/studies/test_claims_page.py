"""The page of claims says what the studies' results say."""

import sys
from pathlib import Path

import pytest

EXPERIMENTS = Path(__file__).parents[2] / "experiments"


def test_the_page_is_that_of_the_results(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(EXPERIMENTS))
    sys.modules.pop("claims", None)
    import claims

    found = claims.gather_claims()
    assert set(found) == set(claims.STUDIES)
    assert (EXPERIMENTS / "README.md").read_text(encoding="utf-8") == claims.page(found), "run: make claims"
    summary = claims.summary(found).strip("*")
    assert summary in (EXPERIMENTS.parent / "README.md").read_text(encoding="utf-8")
    for folder in found:
        assert (EXPERIMENTS / folder / "README.md").is_file()
