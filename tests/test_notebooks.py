"""The notebooks: each runs on real files, is paired with its text, and is kept without outputs."""

import base64
import io
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jupytext
import pytest
from matplotlib.image import imread
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from aulight.prediction.loading import load

Command = Callable[..., Any]

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"


def run(name: str) -> Any:
    """Executes every cell of a notebook, in its folder, as Jupyter does."""
    notebook = jupytext.read(NOTEBOOKS / f"{name}.ipynb")
    client = NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(NOTEBOOKS)}})
    return client.execute()


def pictures(notebook: Any) -> list[Any]:
    """What it drew, as arrays."""
    data = [output.get("data", {}) for cell in notebook.cells for output in cell.get("outputs", [])]
    return [imread(io.BytesIO(base64.b64decode(of["image/png"]))) for of in data if "image/png" in of]


def printed(notebook: Any) -> str:
    return "".join(output.get("text", "") for cell in notebook.cells for output in cell.get("outputs", []))


@pytest.mark.parametrize("path", sorted(NOTEBOOKS.glob("*.ipynb")), ids=lambda path: path.stem)
def test_paired_with_its_text_and_without_outputs(path: Path) -> None:
    """Oracle: jupytext's reading of the .py beside it."""
    notebook = jupytext.read(path)
    text = jupytext.read(path.with_suffix(".py"))
    assert [(cell.cell_type, cell.source) for cell in notebook.cells] == [
        (cell.cell_type, cell.source) for cell in text.cells
    ]
    assert notebook.metadata["jupytext"]["formats"] == text.metadata["jupytext"]["formats"] == "ipynb,py:percent"
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert code
    assert all(not cell.outputs and cell.execution_count is None for cell in code)


def test_label_efficiency_of_real_runs(
    aulight: Command, tiny_finetune: list[str], finetuned: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Oracle: the report, whose ICC the notebook's last cell finds again in the predictions."""
    shutil.copytree(finetuned, tmp_path / "finetune/pretrained")
    for settings in (["name=scratch"], ["name=more", "label_fraction=0.5"]):
        assert aulight(*tiny_finetune, f"root={tmp_path / 'finetune'}", *settings).status == 0
    assert aulight("report", f"runs={tmp_path}", "uncertainty.swaps=50").status == 0
    monkeypatch.setenv("AULIGHT_RUNS", str(tmp_path))
    monkeypatch.delenv("MPLBACKEND")  # notebooks draw into themselves
    notebook = run("label_efficiency")
    drawn = pictures(notebook)
    assert len(drawn) == 3
    assert all(picture[..., :3].std() > 0.05 for picture in drawn)
    match = re.search(r"from the predictions (\S+), in the report (\S+)", printed(notebook))
    assert match is not None
    assert match[1] == match[2]


def test_label_efficiency_without_a_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AULIGHT_RUNS", str(tmp_path / "nothing"))
    with pytest.raises(CellExecutionError, match=r"no report there; set AULIGHT_RUNS, or make it with"):
        run("label_efficiency")


def test_predict_with_a_real_model(finetuned: Path, smoke_videos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Oracle: the model's own table of the video; the notebook's last cell compares explained frames with its own."""
    video = min(smoke_videos.glob("test_*.mp4"))
    monkeypatch.setenv("AULIGHT_MODEL", str(finetuned))
    monkeypatch.setenv("AULIGHT_VIDEO", str(video))
    monkeypatch.delenv("MPLBACKEND")
    notebook = run("predict")
    drawn = pictures(notebook)
    assert len(drawn) == 3
    assert all(picture[..., :3].std() > 0.05 for picture in drawn)
    said = printed(notebook)
    match = re.search(r"largest difference to the table: (\S+)", said)
    assert match is not None
    assert float(match[1]) < 1e-4
    live = re.findall(r"([\d.]+) s  (AU\d\d)  ([\d.]+)\n", said)
    table = load(finetuned).predict(video)
    assert [float(second) for second, _, _ in live] == [1.0, 2.0]  # of 60 frames, 25 a second
    for row, (_, au, value) in zip((24, 49), live, strict=True):
        assert table[f"{au}_r"][row] == pytest.approx(float(value), abs=0.06)


def test_predict_without_a_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AULIGHT_MODEL", str(tmp_path / "nothing"))
    with pytest.raises(CellExecutionError, match=r"nothing: not there; set AULIGHT_MODEL and AULIGHT_VIDEO"):
        run("predict")
