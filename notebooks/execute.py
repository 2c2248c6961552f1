"""Run the notebooks anew and store them with their outputs: `make notebooks`.

Each runs in an empty folder of its own, as the tests run it. What changes from one time to the next without a
meaning (times, identifiers, versions of the kernel) is left out, so that a new run shows up as a small change.
"""

import sys
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode

FOLDER = Path(__file__).parent
LONGEST_CELL = 600  # seconds


def executed(path: Path, folder: Path) -> NotebookNode:
    """The notebook of a file, run from its first cell to its last in a folder.

    Raises:
        nbclient.exceptions.CellExecutionError: A cell failed.
    """
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(notebook, timeout=LONGEST_CELL, kernel_name="python3", record_timing=False)
    client.resources = {"metadata": {"path": str(folder)}}
    client.extra_arguments = ["--log-level=ERROR"]
    client.execute()
    return plain(notebook)


def plain(notebook: NotebookNode) -> NotebookNode:
    """The notebook without what says nothing to a reader."""
    notebook.metadata = nbformat.from_dict(
        {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        }
    )
    for number, cell in enumerate(notebook.cells, start=1):
        cell.id, cell.metadata = f"cell-{number}", nbformat.from_dict({})
        for output in cell.get("outputs", []):
            if "metadata" in output:
                output.metadata = nbformat.from_dict({})
            if "image/png" in output.get("data", {}):
                output.data.pop("text/plain", None)  # "<Figure size ...>"
    return notebook


def main() -> None:
    """Run those that are named, or all."""
    for path in [Path(name) for name in sys.argv[1:]] or sorted(FOLDER.glob("*.ipynb")):
        with tempfile.TemporaryDirectory() as folder:
            notebook = executed(path, Path(folder))
        nbformat.write(notebook, path)
        print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
