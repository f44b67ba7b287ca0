"use strict";
// Finds and orders the videos of the page; both work on what is there, and load nothing.
const list = document.querySelector(".videos"), find = document.querySelector("#find");
const order = document.querySelector("#order"), told = document.querySelector("#told");
const names = new Intl.Collator("en", {numeric: true});
const show = () => {
  const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
  let shown = 0;
  for (const video of list.children) {
    const name = video.dataset.name.toLowerCase();
    video.hidden = !words.every(word => name.includes(word));
    shown += !video.hidden;
  }
  told.textContent = words.length ? `${shown} of ${list.children.length}` : "";
};
const sort = () => {
  const key = order.value, number = video => parseFloat(video.dataset[key] || "Infinity");
  list.append(...[...list.children].sort((a, b) =>
    (key === "name" ? 0 : number(a) - number(b)) || names.compare(a.dataset.name, b.dataset.name)));
};
if (list) {
  find.addEventListener("input", show);
  order.addEventListener("change", sort);
  show();
}
