"""The page: what its HTML holds against ``summary.json``, and how it looks in a browser where there is one."""

import base64
import json
import re
import shlex
import shutil
import subprocess
from collections import Counter
from html import escape, unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from aulight.cli.commands.report import report
from aulight.datasets import DISFA_AUS
from aulight.drawing.names import model_name
from aulight.drawing.style import svg
from aulight.facs import column
from aulight.report import figures, records
from aulight.report.tables import VARIANTS
from aulight.runs.composed import composed, settings_from
from aulight.settings.report import ReportSettings

AUS = [column(au) for au in DISFA_AUS]
DATASET, ARM = 'faces <b>&</b> "co"', "<script>alert(1)</script>"
PUBLISHED = f"""source,dataset,label_fraction,icc,mae,mse,AU12
"Someone <i>et al.</i>, 2020","{DATASET.replace('"', '""')}",0.02,0.31,0.45,,0.8
"Others, hand-picked frames","{DATASET.replace('"', '""')}",,0.3,,,
"""
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def write_runs(folder: Path) -> None:
    """Two arms, two label fractions, two seeds, two folds of three subjects; names that HTML must not take for tags."""
    for arm in ("pretrained", ARM):
        for fraction in (0.02, 1.0):
            for seed in (0, 1):
                for fold in (1, 2):
                    noise = (0.5 if arm == "pretrained" else 1.5) * (1.2 - fraction)
                    write_run(folder / f"{len(arm)}-{fraction}-{seed}-{fold}", arm, fraction, seed, fold, noise)
    (folder / "5-dead").mkdir()
    (folder / "5-dead/run.yaml").write_text("{command: finetune, outcome: 'failed: <b>no</b> memory'}")


def write_run(run: Path, arm: str, fraction: float, seed: int, fold: int, noise: float) -> None:
    guess = np.random.default_rng([seed, fold, int(100 * noise)])
    parts = []
    for s in (0, 1, 2):
        true = np.random.default_rng([fold, s]).integers(0, 6, (30, len(AUS)))
        true[:, 3] = 0  # never seen
        pred = np.clip(true + noise * guess.normal(size=true.shape), 0, 5)
        pred[:, 3] = 0
        subject = f"S{fold}{s}"
        table = pd.DataFrame({"video_id": f"{subject} <video>", "subject": subject, "frame": np.arange(30)})
        for i, au in enumerate(AUS):
            table[f"{au}_true"] = pd.array(true[:, i], dtype="Int8")
            table[f"{au}_pred"] = pred[:, i].astype(np.float32)
        parts.append(table)
    (run / ".hydra").mkdir(parents=True)
    pd.concat(parts).to_parquet(run / "predictions.parquet")
    if arm == "pretrained":  # the other arm's runs are of 0.1.0, which kept nothing of the last checkpoint
        pd.concat(parts).to_parquet(run / "predictions_last.parquet")
    (run / ".hydra/overrides.yaml").write_text(yaml.safe_dump([f"arm={arm}", f"seed={seed}", "note='a <b> b'"]))
    meta = {
        "command": "finetune",
        "outcome": "done",
        "arm": arm,
        "label_fraction": fraction,
        "labelled_frames": int(1000 * fraction),
        "validation_frames": 1640,
        "fold": fold,
        "seed": seed,
        "label_seed": seed,
        "steps": 300,
        "dataset": {"name": DATASET, "fingerprint": "0123456789abcdef", "aus": list(DISFA_AUS), "fps": 25.0},
        "train_label_mean": dict.fromkeys(AUS, 1.0),
        "versions": {"torch": "2.13.0<"},
        "git": "abc123-dirty",
        "config": {"model": {"name": "tiny"}},
    }
    (run / "run.yaml").write_text(yaml.safe_dump(meta), encoding="utf-8")


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a report."""
    folder = tmp_path_factory.mktemp("page")
    write_runs(folder / "runs")
    (folder / "published.csv").write_text(PUBLISHED)
    overrides = [f"runs={folder / 'runs'}", f"output={folder / 'out'}", f"reference={folder / 'published.csv'}"]
    overrides += ["uncertainty.swaps=100", "videos=['S10 <video>','S21 <video>']"]
    with composed("report", overrides) as config:
        settings = settings_from("report", config)
    assert isinstance(settings, ReportSettings)
    report(settings)
    return folder / "out"


@pytest.fixture(scope="module")
def summary(written: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((written / "summary.json").read_text(encoding="utf-8"))
    return loaded


class Page(HTMLParser):
    """A page taken apart; elements that are not closed in order are refused."""

    VOID = ("meta", "link", "img", "source", "br", "hr", "input")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.tables: dict[str, list[list[str]]] = {}
        self.texts: dict[str, str] = {}
        """All text in elements of a kind, one after the other."""
        self.label = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(dict(attrs)) == len(attrs), f"{tag} has an attribute twice"
        self.elements.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)
        self.label = dict(attrs).get("aria-label") or self.label
        if tag == "table":
            self.tables[self.label] = []
        elif tag == "tr":
            self.tables[self.label].append([])
        elif tag in ("td", "th"):
            self.tables[self.label][-1].append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert self.open[-1] == "svg", f"<{tag}/> closes itself only in SVG"
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        for tag in set(self.open):
            self.texts[tag] = self.texts.get(tag, "") + data
        if "td" in self.open or "th" in self.open:
            self.tables[self.label][-1][-1] += data


@pytest.fixture(scope="module")
def page(written: Path) -> Page:
    return Page((written / "report.html").read_text(encoding="utf-8"))


def test_is_well_formed_and_loads_nothing(page: Page) -> None:
    ids = Counter(attrs["id"] for _, attrs in page.elements if "id" in attrs)
    assert ids
    assert set(ids.values()) == {1}
    for tag, attrs in page.elements:
        for name, value in attrs.items():
            assert value is None or not re.search(r"https?:|//|url\(", value) or name in ("alt", "src", "srcset"), (
                tag,
                value,
            )
            assert not name.startswith("on")
        for name in ("aria-labelledby", "href"):
            if (target := attrs.get(name)) and target != "data:,":
                assert target.removeprefix("#") in ids
        assert tag not in ("iframe", "object", "embed", "video", "audio", "base", "form")
    for text in (page.texts["style"], page.texts["script"]):
        assert not re.search(r"https?:|url\(|@import|fetch|import\(", text)
    assert [tag for tag, _ in page.elements].count("script") == 1
    policy = next(attrs for tag, attrs in page.elements if tag == "meta" and "http-equiv" in attrs)
    assert str(policy["content"]).startswith("default-src 'none'; img-src data:;")


def drawing(source: str | None) -> str:
    """The SVG in an address."""
    kind, _, content = str(source).partition(",")
    assert kind == "data:image/svg+xml;base64"
    return base64.b64decode(content, validate=True).decode()


def test_pictures_are_those_of_the_report(page: Page, written: Path) -> None:
    """Oracle: the figures, drawn from ``summary.json`` once more; and each is there for a phone, too."""
    wide = [attrs for tag, attrs in page.elements if tag == "img"]
    narrow = [attrs for tag, attrs in page.elements if tag == "source"]
    assert [attrs["media"] for attrs in narrow] == ["(max-width: 600px)"] * 4
    summary = records.read(written / "summary.json")
    for number, draw in enumerate((figures.label_efficiency, figures.per_au)):
        assert drawing(wide[number]["src"]) == svg(draw(summary))
        assert drawing(narrow[number]["srcset"]) == svg(draw(summary, narrow=True))
    files = sorted(file.stem for file in written.glob("*.png"))
    assert files == ["label_efficiency", "per_au", "timeline_S10_video_", "timeline_S21_video_"]
    assert all(attrs["alt"] for attrs in wide)
    assert "video" not in str(wide[0]["alt"])
    assert "Video S10 <video>:" in str(wide[2]["alt"])


def test_what_is_asked_first_stands_first(page: Page, summary: dict[str, Any]) -> None:
    """Oracle: the record of ``summary.json``, and the table of runs that this file writes."""
    assert page.elements[[tag for tag, _ in page.elements].index("h2")][1]["id"] == "in-short"
    record = summary["records"][0]
    assert (record["arm"], record["label_fraction"]) == ("pretrained", 0.02)
    said = page.texts["dl"]
    for question in ("How good is the model?", "On how many people?", "May I trust it?", "What to do next?"):
        assert question in said
    assert f"with stage one, 2% of the labels (20 frames): mean ICC(3,1) {shown(record['icc'])}" in said
    assert "Tested on 6 people" in said
    assert "AU5: ICC undefined: constant labels" in said
    rows = page.tables["Each action unit in short"]
    assert len(rows) == 13
    for au, row in zip(AUS, rows[1:], strict=True):
        scores = record["per_au"][au]
        assert row[0] == f"AU{int(au[2:])}"
        assert row[3] == ("undefined" if scores["icc"] is None else shown(scores["icc"]))
        assert row[2] == ("undefined: constant labels" if scores["icc"] is None else "excellent")
        assert row[5:7] == [shown(scores["pearson"]), shown(scores["mae"])]
        assert row[7] == f"{100 * record['presence'][au]['share']:.1f}%"
        assert row[8:] == ["0 of 6" if au == "AU05" else "6 of 6", "–"]


def test_names_are_escaped(page: Page, summary: dict[str, Any]) -> None:
    assert not {"b", "i", "video"} & {tag for tag, _ in page.elements}
    assert DATASET in page.texts["header"]
    assert "5-dead left out: failed: <b>no</b> memory" in page.texts["aside"]
    assert ["torch", "2.13.0<"] in page.tables["Versions"]
    assert ["aulight, git revision", "abc123-dirty"] in page.tables["Versions"]
    assert page.tables["Datasets"][1] == [DATASET, "0123456789abcdef", "6", "25", "12"]
    assert len(summary["commands"]) == 16
    for line in summary["commands"]:
        assert f"# {line['run']}\n{line['command']}" in page.texts["pre"]
    assert shlex.split(summary["commands"][-1]["command"])[:2] == ["aulight", "finetune"]


def shown(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def ends(value: list[float] | None) -> str:
    return "–" if value is None else f"[{value[0]:.3f}, {value[1]:.3f}]"


def test_numbers_are_those_of_the_summary(page: Page, summary: dict[str, Any]) -> None:
    rows = page.tables["Mean over action units"]
    assert len(rows) - 1 == len(summary["records"]) + len(summary["last"]) + len(summary["baselines"])
    for record in summary["records"]:
        labels = f"{100 * record['label_fraction']:g}%"
        (row,) = [row for row in rows if row[:2] == [labels, model_name(record["arm"])]]
        assert row[2:8] == [str(record["labelled_frames"]), "1640", "2", "–", "2", "6"]
        assert row[8:10] == [shown(record["icc"]), ends(record["icc_ci"])]
        assert row[10:14] == [shown(record[name]) for name in ("icc_seed_sd", "pearson", "mae", "mse")]
        assert "ICC undefined for AU05, not in the mean" in row[14]
        units = next(r for r in page.tables["ICC(3,1) by action unit"] if r[:2] == [labels, model_name(record["arm"])])
        iccs = [record["per_au"][au]["icc"] for au in AUS]
        assert units[2:] == ["6", *("undefined" if icc is None else shown(icc) for icc in iccs), shown(record["icc"])]
        named = [
            r
            for r in page.tables["ICC(3,1) by other published conventions"]
            if r[:2] == [labels, model_name(record["arm"])]
        ]
        assert [row[2:] for row in named] == [[title, "6", shown(record[name])] for name, title in VARIANTS.items()]

    one, other = (r for r in summary["records"] if r["label_fraction"] == 0.02)
    for au, row in zip(AUS, page.tables["Action units"][1:], strict=True):
        scores = [record["per_au"][au] for record in (one, other)]
        assert row[0] == au
        said = [f"{shown(of['icc'])} {ends(of['icc_ci'])}" for of in scores]
        assert row[2:4] == ["undefined: constant labels" if of == "– –" else of for of in said]
        assert row[4:8] == [shown(of[name]) for name in ("pearson", "mae") for of in scores]


def test_labels_that_chose_the_checkpoint_stand_beside_the_headline(page: Page, summary: dict[str, Any]) -> None:
    last = next(row for row in summary["last"] if row["label_fraction"] == 0.02)
    assert (last["arm"], last["validation_frames"]) == ("pretrained", 0)
    assert (
        "ICC(3,1), mean over action units. 20 labelled frames were learned from, and 1,640 of validation subjects "
        "chose the checkpoint. With the last checkpoint, which nobody chose, the ICC is: "
        f"with stage one {shown(last['icc'])}."
    ) in page.texts["p"]
    rows = [
        row for row in page.tables["Mean over action units"] if row[1] == "with stage one, last checkpoint, no choice"
    ]
    assert [row[3] for row in rows] == ["0"] * len(summary["last"])
    assert len(rows) == 2


def test_comparisons_are_those_of_the_summary(page: Page, summary: dict[str, Any]) -> None:
    same, largest = page.tables["With the same share of labels"], page.tables["Against the largest share of labels"]
    assert (len(same) - 1, len(largest) - 1) == (2, 4)
    for found, row in zip(summary["comparisons"][:1], same[1:2], strict=True):
        assert row[:3] == ["2%", "with stage one", ARM]
        assert row[3] == "6"
        assert row[4:7] == [shown(found[name]) for name in ("icc", "against_icc", "difference")]
        assert row[7:9] == [ends(found["difference_ci"]), shown(found["difference_p"])]
        assert "6 shared test subjects" in page.texts["div"]
        assert f"+{shown(found['difference'])}" in page.texts["div"]
        assert f"p\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}{shown(found['difference_p'])}" in page.texts["div"]
    assert largest[1][:3] == ["2%", "with stage one", "with stage one, 100%"]
    assert [tag for tag, _ in page.elements].count("circle") == 6


def test_cards_say_how_many_subjects_and_what_to_mind(page: Page) -> None:
    """In the open, not in a part that a click shows."""
    assert page.texts["div"].count("6 test subjects, 20 labelled frames") == 2
    cautions = [attrs for tag, attrs in page.elements if tag == "p" and attrs.get("class") == "caution"]
    assert len(cautions) == 2
    assert "ICC undefined for AU05, not in the mean" in page.texts["p"]


def test_published_numbers_stand_beside_ours(page: Page, written: Path, summary: dict[str, Any]) -> None:
    rows = page.tables["Beside published numbers"]
    assert rows[0] == ["Labels", "Source", "ICC(3,1)", "MAE", "MSE", "ICC AU12"]
    assert rows[3] == ["2%", "Someone <i>et al.</i>, 2020", "0.310", "0.450", "–", "0.800"]
    assert rows[-1] == ["–", "Others, hand-picked frames", "0.300", "–", "–", "–"]
    ours = summary["records"][0]
    assert rows[1][1:3] == ["ours: with stage one, 6 subjects", shown(ours["icc"])]
    assert rows[1][5] == shown(ours["per_au"]["AU12"]["icc"])
    text = (written / "table.md").read_text(encoding="utf-8")
    assert "## Beside published numbers" in text
    assert "| 2%     | Someone <i>et al.</i>, 2020 " in text


WATCH = """<script>
const failed = [];
addEventListener("error", event => failed.push(event.message || event.target.outerHTML.slice(0, 80)), true);
addEventListener("securitypolicyviolation", event => failed.push(event.blockedURI));
</script>"""
CHECK = """<script>
addEventListener("load", () => {
  document.querySelectorAll("details").forEach(part => { part.open = true; });
  for (const image of document.images) if (!image.complete || !image.naturalWidth) failed.push(image.alt);
  const loaded = performance.getEntriesByType("resource").map(entry => entry.name);
  failed.push(...loaded.filter(name => !name.startsWith("data:")));
  // What is seen of each line of text: its box, cut by the boxes that scroll.
  const boxes = [], outside = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode, parent = node.parentElement;
    if (!node.data.trim() || parent.closest("script")) continue;
    const range = document.createRange();
    range.selectNodeContents(node);
    const frame = parent.closest(".scroll")?.getBoundingClientRect();
    for (const {left, right, top, bottom} of range.getClientRects()) {
      const box = {text: node.data.trim().slice(0, 40), left, right, top, bottom};
      if (frame) { box.left = Math.max(left, frame.left); box.right = Math.min(right, frame.right); }
      if (box.right - box.left > 1 && bottom - top > 1) boxes.push(box);
      if (box.left < 0 || box.right > innerWidth + 1) outside.push(box.text);
    }
  }
  const overlaps = [];
  boxes.sort((a, b) => a.top - b.top);
  for (let i = 0; i < boxes.length; i++) {
    for (let j = i + 1; j < boxes.length && boxes[j].top < boxes[i].bottom - 1; j++) {
      const [a, b] = [boxes[i], boxes[j]];
      if (a.left < b.right - 1 && b.left < a.right - 1) overlaps.push([a.text, b.text]);
    }
  }
  const broken = [];
  for (const button of document.querySelectorAll("th button")) {
    for (const {index, 0: word} of button.textContent.matchAll(/\\w+/g)) {
      const range = document.createRange();
      range.setStart(button.firstChild, index);
      range.setEnd(button.firstChild, index + word.length);
      if (range.getClientRects().length > 1) broken.push(word);
    }
  }
  const sorted = [];
  const table = document.querySelector("[aria-label='Action units'] table");
  for (const column of [2, 2, 0]) {
    const button = table.tHead.rows[0].cells[column].querySelector("button");
    button.focus();
    button.click();
    sorted.push({
      order: [...table.tBodies[0].rows].map(row => row.cells[0].textContent),
      states: [...table.tHead.rows[0].cells].map(head => head.getAttribute("aria-sort")),
      focused: document.activeElement === button,
    });
  }
  const result = {
    width: innerWidth, wide: document.documentElement.scrollWidth, texts: boxes.length,
    failed, outside, overlaps, broken, sorted,
  };
  const element = document.createElement("pre");
  element.id = "result";
  element.textContent = JSON.stringify(result);
  parent.document.body.append(element);
});
</script>"""


@pytest.mark.skipif(BROWSER is None, reason="no Chromium or Chrome on the PATH")
@pytest.mark.parametrize(("width", "height"), [(390, 844), (1280, 900)])
def test_in_a_browser(written: Path, tmp_path: Path, summary: dict[str, Any], width: int, height: int) -> None:
    """All is there, no text runs into other text or off the page, and tables sort; on a phone and on a desk."""
    text = (written / "report.html").read_text(encoding="utf-8")
    text = text.replace("<title>", f"{WATCH}<title>").replace("</body>", f"{CHECK}</body>")
    # In a frame, since windows are 500 pixels wide at least.
    frame = f'<iframe width="{width}" height="{height}" style="border: 0" srcdoc="{escape(text)}"></iframe>'
    (tmp_path / "page.html").write_text(f"<!DOCTYPE html><body>{frame}", encoding="utf-8")
    command = [str(BROWSER), "--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1400,1000"]
    command += [f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", (tmp_path / "page.html").as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    found = re.search(r'<pre id="result">(.*?)</pre>', done.stdout, re.DOTALL)
    assert found, done.stderr[-2000:]
    result = json.loads(unescape(found[1]))
    assert result["width"] == width
    assert result["wide"] <= width
    assert result["texts"] > 300
    assert [result[problem] for problem in ("failed", "outside", "overlaps", "broken")] == [[], [], [], []]

    icc = {au: of_au["icc"] for au, of_au in summary["records"][0]["per_au"].items()}
    up = sorted((au for au in AUS if icc[au] is not None), key=lambda au: float(shown(icc[au])))
    down = sorted(up, key=lambda au: -float(shown(icc[au])))
    assert [au for au in AUS if au not in up] == ["AU05"]
    first, second, third = result["sorted"]
    assert first["order"] == [*up, "AU05"]
    assert second["order"] == [*down, "AU05"]
    assert third["order"] == AUS
    states = [[state for state in step["states"] if state] for step in result["sorted"]]
    assert states == [["ascending"], ["descending"], ["ascending"]]
    assert all(step["focused"] for step in result["sorted"])
