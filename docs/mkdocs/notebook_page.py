"""A notebook as a page: its text, its code, and the stored outputs."""

import base64
import json
import re
from typing import Any


def notebook_markdown(text: str, name: str) -> tuple[str, dict[str, bytes]]:
    """The Markdown of a notebook and its pictures by file name.

    Args:
        text: Content of the notebook's file.
        name: Prefix of the pictures' file names.
    """
    pieces: list[str] = []
    pictures: dict[str, bytes] = {}
    for cell in json.loads(text)["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            pieces.append(source)
            continue
        pieces.append(f"````python\n{source}\n````")
        for output in cell["outputs"]:
            picture = output.get("data", {}).get("image/png")
            if picture is None:
                pieces.append(_shown(output))
            else:
                file = f"{name}_{len(pictures) + 1}.png"
                pictures[file] = base64.b64decode("".join(picture))
                pieces.append(f"![]({file})")
    return "\n\n".join(pieces) + "\n", pictures


def _shown(output: dict[str, Any]) -> str:
    """An output without a picture: a table as HTML, everything else as printed text."""
    data = output.get("data", {})
    if "text/html" in data:
        table = re.sub(r"<style.*?</style>\n?", "", "".join(data["text/html"]), flags=re.DOTALL)
        return table.replace('<table border="1" class="dataframe">', "<table>")  # so that it looks like other tables
    printed = "".join(output.get("text", data.get("text/plain", "")))
    return f"````text\n{printed.rstrip()}\n````" if printed else ""
