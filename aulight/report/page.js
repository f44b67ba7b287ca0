"use strict";
// Numbers by their value ("2%", "[0.1, 0.2]" and "<0.001" by the first number in them), other words by the alphabet.
const missing = text => text === "" || text === "–" || text.startsWith("undefined");
const number = text => parseFloat(text.replace(/^[^-\d]+/, ""));
const names = new Intl.Collator("en", {numeric: true});
for (const button of document.querySelectorAll("th button")) {
  button.addEventListener("click", () => {
    const head = button.parentElement, table = head.closest("table"), rows = [...table.tBodies[0].rows];
    const sign = head.getAttribute("aria-sort") === "ascending" ? -1 : 1;
    const text = row => row.cells[head.cellIndex].textContent.trim();
    const isNumbers = rows.map(text).every(word => missing(word) || /^[[<]?-?\d/.test(word));
    rows.sort((a, b) => {
      const [x, y] = [text(a), text(b)];
      if (missing(x) || missing(y)) return missing(x) - missing(y);
      return sign * (isNumbers ? number(x) - number(y) : names.compare(x, y));
    });
    for (const other of head.parentElement.cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", sign > 0 ? "ascending" : "descending");
    table.tBodies[0].append(...rows);
  });
}
addEventListener("beforeprint", () => document.querySelectorAll("details").forEach(part => { part.open = true; }));
