"""What the terminal, Markdown, CSV, LaTeX and HTML say, and the command that writes them."""

import csv
import io
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

FORMATS = ("report.md", "report.csv", "report.tex", "report.html")
HOSTILE = '<script>alert(1)</script> & "50%" _a|b_ {x} $y$ #1 ~ ^ \\input{z} [c](http://x) é 猫 \x1b[31m'


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Calls the entry point with options of a command line."""
    from rnc_lightning.report import main

    def call(*options: object) -> None:
        monkeypatch.setattr(sys, "argv", ["report", *map(str, options)])
        main()

    return call


def _study(write: Callable[..., Path]) -> None:
    """Runs of two data sets with all kinds of problems."""
    for seed in range(3):
        write("agedb", "l1", seed, 6.5 + 0.1 * seed)
        write("agedb", "rnc_l1", seed, 6.0 + 0.2 * seed)
        write("digits", "l1", seed, 5.0 + seed, setting=f"{'ab'[seed % 2] * 12}")
    write("agedb", "mse", 0, status="failed", reason="the loss became nan in epoch 3")
    write("agedb", "huber", 0, status="unfinished")
    write("agedb", "rnc_mse", 0, 6.2, code="other", git_revision="0ldc0de")
    write("agedb", "rnc_mse", 1, 6.3)
    write("digits", "dex", 0, 5.0, folder="copy0")
    write("digits", "dex", 0, 5.1, folder="copy1")
    write("digits", "dex", 1, 5.1, data_fingerprint="0therdata")
    broken = write("digits", "or", 0)
    broken.write_text("{")


def test_every_format_shows_what_is_missing_or_doubtful(
    write: Callable[..., Path], runs: Path, command: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    _study(write)
    command(runs)
    texts = {"terminal": " ".join(capsys.readouterr().out.split())}
    texts |= {name: " ".join((runs / "report" / name).read_text(encoding="utf-8").split()) for name in FORMATS}
    for name, text in texts.items():
        for said in ("the loss became nan in epoch 3", "unfinished", "no run", "not valid JSON"):
            assert said in text, (name, said)
        if name == "report.csv":
            continue  # it has values and reasons, the setting and the fingerprint in columns
        for said in ("DIFFERENT CODE", "0ldc0de", "DIFFERENT DATA", "0therdata", "DIFFERENT SETTINGS", "aaaaaaaa"):
            assert said in text, (name, said)
        assert "DIFFERENT results" in text, name
        assert "14 finished, 1 failed, 1 unfinished; 1 file with problems" in text, name
        assert "6.63" in text, name  # published
        assert "digits has a synthetic target" in text, name


def test_the_csv_holds_the_unrounded_numbers(
    write: Callable[..., Path], runs: Path, command: Callable[..., None]
) -> None:
    _study(write)
    command(runs)
    rows = list(csv.DictReader((runs / "report/report.csv").open(encoding="utf-8")))
    (row,) = (r for r in rows if (r["dataset"], r["row"], r["metric"]) == ("agedb", "rnc_l1", "mae"))
    assert (row["n"], row["seeds"], row["pairs"], row["published"]) == ("3", "0 1 2", "3", "6.14")
    assert float(row["mean"]) == pytest.approx(6.2)
    assert float(row["gain"]) == pytest.approx(0.4)
    assert float(row["difference"]) == pytest.approx(0.06)
    (problem,) = (row for row in rows if row["status"] == "problem")
    assert problem["row"].endswith("result.json")
    settings = {r["setting"] for r in rows if (r["dataset"], r["row"]) == ("digits", "l1")}
    assert settings == {"a" * 12, "b" * 12}


def test_the_same_runs_give_the_same_bytes(
    write: Callable[..., Path], runs: Path, tmp_path: Path, command: Callable[..., None]
) -> None:
    _study(write)
    for out in ("one", "two"):
        command(runs, f"out={tmp_path / out}")
    for name in (*FORMATS, "report.png"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes(), name
    assert not (runs / "report").exists()


def test_a_second_report_does_not_read_the_first(
    write: Callable[..., Path], runs: Path, command: Callable[..., None]
) -> None:
    _study(write)
    command(runs)
    before = (runs / "report/report.md").read_bytes()
    command(runs)
    assert (runs / "report/report.md").read_bytes() == before


def test_hostile_names_are_shown_and_do_nothing(
    write: Callable[..., Path], runs: Path, command: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    write("d_" + HOSTILE, "l1", 0, folder="a", experiment="a", units=[HOSTILE], git_revision=HOSTILE)
    write("d_" + HOSTILE, "mse", 0, folder="b", experiment="b", status="failed", reason=HOSTILE)
    write("d_" + HOSTILE, "l1", 0, folder="c", experiment="c", head=HOSTILE, options={"data.x": HOSTILE})
    command(runs)
    out = runs / "report"
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert page.count("<script") == 1
    text = (out / "report.md").read_text(encoding="utf-8")
    assert "<script" not in text
    tables = [line for line in text.splitlines() if line.startswith("|")]
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in tables} == {6}
    rows = list(csv.DictReader(io.StringIO((out / "report.csv").read_text(encoding="utf-8"))))
    assert {row["head"] for row in rows} >= {HOSTILE.replace("\x1b", "?")}
    assert "\x1b" not in capsys.readouterr().out


def _latex_is_balanced(text: str) -> bool:
    depth = 0
    for brace in re.findall(r"(?<!\\)[{}]", text):
        depth += 1 if brace == "{" else -1
        if depth < 0:
            return False
    return depth == 0


def test_overrides_of_all_rows_are_said_once(
    write: Callable[..., Path], runs: Path, command: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    shared = {"data.size": "64", "debug": "one_batch"}
    write("digits", "mse", 0, options=shared)
    write("digits", "rnc_mse", 0, options={**shared, "objective.temperature": "1"})
    command(runs)
    for text in (capsys.readouterr().out, (runs / "report/report.md").read_text()):
        plain = text.replace("\\_", "_")
        assert plain.count("all with data.size=64, debug=one_batch") == 2  # MAE and R2
        assert "MSE<br>data.size" not in plain
        assert "objective.temperature=1" in plain


def test_latex_escapes_every_special_character(
    write: Callable[..., Path], runs: Path, command: Callable[..., None]
) -> None:
    from rnc_lightning.reports.latex import escape

    write("d_" + HOSTILE, "l1", 0, experiment="a", folder="a")
    command(runs)
    text = (runs / "report/report.tex").read_text(encoding="utf-8")
    assert text.isascii()
    assert _latex_is_balanced(text)
    assert r"\input{z}" not in text
    shown = escape("\\{}$&#%_~^<>|")
    for character in "$&#%_":
        assert re.findall(rf"(?<!\\)\{character}", shown) == []
    assert r"\'{e}" in escape("é")


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
def test_latex_compiles(write: Callable[..., Path], runs: Path, command: Callable[..., None]) -> None:
    _study(write)
    write("agedb", "l1", 0, added=["ranksim"])
    write("d_" + HOSTILE, "l1", 0, experiment="a", folder="a", units=[HOSTILE], git_revision=HOSTILE)
    command(runs)
    document = r"\documentclass{article}\usepackage{booktabs}\begin{document}\input{report.tex}\end{document}"
    (runs / "report/all.tex").write_text(document)
    called = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "all.tex"],
        cwd=runs / "report",
        capture_output=True,
        timeout=60,
    )
    assert called.returncode == 0, called.stdout[-2000:]


@pytest.mark.parametrize(
    ("exists", "message"),
    [
        (False, "no such folder"),
        (True, "no result.json in it; train something first: python -m rnc_lightning.train"),
    ],
)
def test_nothing_to_report_is_one_line(
    tmp_path: Path, command: Callable[..., None], capsys: pytest.CaptureFixture[str], exists: bool, message: str
) -> None:
    folder = tmp_path / "nothing"
    if exists:
        folder.mkdir()
    with pytest.raises(SystemExit) as stopped:
        command(folder)
    assert stopped.value.code == 1
    error = capsys.readouterr().err
    assert error.startswith(f"error: {folder}: ")
    assert message in error
    assert error.count("\n") == 1


def test_where_every_file_is_broken_the_report_says_so(
    write: Callable[..., Path], runs: Path, command: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    write("digits", "l1", 0).write_text("{")
    command(runs)
    assert "problem: " in capsys.readouterr().out
    assert "not valid JSON" in (runs / "report/report.html").read_text(encoding="utf-8")
    assert not (runs / "report/report.png").exists()


def test_where_no_run_finished_the_report_says_why(
    write: Callable[..., Path], runs: Path, command: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    write("digits", "l1", 0, status="failed", reason="no memory")
    command(runs)
    assert "failed: no memory" in capsys.readouterr().out
    assert not (runs / "report/report.png").exists()


def test_the_terminal_needs_no_more_than_100_columns(
    write: Callable[..., Path], runs: Path, command: Callable[..., None], monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.delenv("COLUMNS", raising=False)
    _study(write)
    write("agedb", "rnc_l1", 0, options={"recipe.pretrain.lr": "0.1", "objective.temperature": "2"})
    command(runs)
    shown = [line for line in capsys.readouterr().out.splitlines() if not line.startswith("written")]
    assert max(map(len, shown)) <= 100
    assert "…" not in "".join(shown)


def test_it_starts_without_pytorch() -> None:
    code = "import sys, rnc_lightning.report; print({'torch', 'lightning', 'matplotlib'} & set(sys.modules))"
    called = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert called.stdout == "set()\n", called.stderr
