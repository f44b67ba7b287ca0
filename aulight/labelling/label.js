// The coding page. A score is first kept in this window, then sent, and only when the server has it on disk does the
// page move on; what cannot be written is tried again until it is.
"use strict";

const $ = id => document.getElementById(id);
const SPEEDS = ["0.1", "0.25", "0.5", "1", "2"];
const WORDS = { 0: "not\nthere", 1: "A\ntrace", 2: "B\nslight", 3: "C\nmarked", 4: "D\nsevere", 5: "E\nmax", "?": "can't\ntell" };
const AHEAD = 4; // frames whose pictures are loaded before they are wanted
const KEPT = 400; // pictures and clips that are kept
const RETRY_MS = 1000;
const KEEP = `aulight ${location.pathname} `; // what is not on disk yet, by the ids of keystrokes

let state, at = { frame: 0, au: 0 }, look = { order: "au", theme: "auto", speed: "1" };
let since = 0, seen = 0; // when the step came into view; milliseconds of earlier views
let clip = { times: [], at: 0 }, rest = null, shown = Promise.resolve();
const keys = []; // typed while a score was on its way
let busy = false;

// ---- the server ----

async function ask(path, body) {
  const sent = body === undefined ? {} : { method: "POST", body: JSON.stringify(body) };
  const answer = await fetch(path, sent);
  const found = await answer.json();
  if (!answer.ok) throw Object.assign(new Error(found.error || answer.statusText), { status: answer.status });
  return found;
}

/** Sends what must not be lost, until the server has it on disk; null where the server will never take it. */
async function surely(path, body) {
  localStorage.setItem(KEEP + body.id, JSON.stringify({ path, body }));
  for (;;) {
    try {
      const found = await ask(path, body);
      localStorage.removeItem(KEEP + body.id);
      $("trouble").hidden = true;
      return found;
    } catch (error) {
      if (error.status >= 400 && error.status < 500) {
        localStorage.removeItem(KEEP + body.id);
        $("trouble").hidden = true;
        note(`Not taken: ${error.message}`);
        return null;
      }
      $("reason").textContent = error.status ? `${error.message}.` : "The server does not answer: is `aulight label` still running?";
      $("trouble").hidden = false;
    }
    await new Promise(go => { setTimeout(go, RETRY_MS); $("retry").onclick = go; });
  }
}

/** What an earlier window could not save. */
async function sendKept() {
  const kept = Object.keys(localStorage).filter(name => name.startsWith(KEEP));
  for (const name of kept) {
    const { path, body } = JSON.parse(localStorage.getItem(name));
    await surely(path, body);
  }
}

// ---- steps: an AU in a frame ----

const auOf = step => state.aus[step.au].au;
const scoreOf = step => state.scores[step.frame][auOf(step)];
const saidOf = step => state.frames[step.frame].said[auOf(step)] || {};
const differ = step => new Set(Object.values(saidOf(step))).size > 1;
const isDone = step => scoreOf(step) !== undefined || (state.consensus && !differ(step));

function moved(step, by, order) {
  const [n, k] = [state.frames.length, state.aus.length];
  const place = order === "au" ? step.frame * k + step.au : step.au * n + step.frame;
  const to = (place + by + n * k) % (n * k);
  return order === "au" ? { frame: Math.floor(to / k), au: to % k } : { frame: to % n, au: Math.floor(to / n) };
}

/** The next step without a score, in the order of work; null when there is none. */
function nextOpen(from) {
  const count = state.frames.length * state.aus.length;
  for (let by = 1, step = from; by <= count; by++) {
    step = moved(step, 1, look.order);
    if (!isDone(step)) return step;
  }
  return null;
}

// ---- pictures ----

const loaded = new Map();

function load(url) {
  let found = loaded.get(url);
  if (found) loaded.delete(url);
  else {
    found = fetch(url).then(async answer => {
      if (!answer.ok) throw new Error((await answer.json()).error);
      const told = name => JSON.parse(answer.headers.get(name) || "null");
      return { url: URL.createObjectURL(await answer.blob()), times: told("x-times"), at: told("x-at") };
    });
    found.catch(() => loaded.delete(url));
  }
  loaded.set(url, found);
  if (loaded.size > KEPT) {
    const [oldest, picture] = loaded.entries().next().value;
    loaded.delete(oldest);
    picture.then(({ url }) => URL.revokeObjectURL(url), () => {});
  }
  return found;
}

const still = of => load(`still/${of.row}/${of.place}.png`);
const clipOf = of => load(`clip/${of.row}/${of.place}.mp4`);
const rests = new Map(); // by video

function restOf(row) {
  if (!rests.has(row)) {
    rests.set(row, ask(`api/rest/${row}`));
    rests.get(row).catch(() => rests.delete(row));
  }
  return rests.get(row);
}

async function showPictures() {
  const frame = state.frames[at.frame];
  const is = () => state.frames[at.frame] === frame;
  const picture = still(frame).then(async ({ url }) => {
    if (!is()) return;
    $("still").src = url;
    await $("still").decode();
  });
  clipOf(frame).then(found => {
    if (!is()) return;
    clip = found;
    $("clip").src = found.url;
    $("scrub").max = found.times.length - 1;
    $("clip").playbackRate = $("clip").defaultPlaybackRate = Number(look.speed);
    play(true);
  }).catch(error => note(error.message));
  showRest(frame).catch(error => note(error.message));
  await picture.catch(error => note(error.message));
  let step = at, other = frame;
  for (let ahead = 0, tries = 0; ahead < AHEAD && tries < 200; tries++) {
    step = moved(step, 1, look.order);
    if (state.frames[step.frame] === other || isDone(step)) continue;
    other = state.frames[step.frame];
    ahead++;
    for (const early of [still(other), clipOf(other), restOf(other.row).then(still)]) early.catch(() => {});
  }
}

async function showRest(frame) {
  const found = await restOf(frame.row);
  const { url } = await still(found);
  if (state.frames[at.frame] !== frame) return;
  rest = found;
  $("rest").src = url;
  $("resting").textContent = found.picked ? `${found.subject}, the frame you picked` : `${found.subject} at rest`;
}

// ---- the clip ----

function play(on) {
  if (on) $("clip").play().catch(() => {});
  else $("clip").pause();
  $("play").textContent = on ? "Stop" : "Play";
}

function clipFrame() {
  const time = $("clip").currentTime + 1e-4;
  return Math.max(0, clip.times.findLastIndex(start => start <= time));
}

function goToClipFrame(to) {
  play(false);
  const n = clip.times.length, place = (to + n) % n, start = clip.times[place];
  const end = place + 1 < n ? clip.times[place + 1] : start + 0.02;
  $("clip").currentTime = (start + end) / 2; // in the middle of its time: no rounding reaches a neighbour
}

function followClip() {
  if (clip.times.length) {
    const place = clipFrame(), by = clip.times[place] - clip.times[clip.at];
    if (document.activeElement !== $("scrub")) $("scrub").value = place;
    const text = place === clip.at ? "this frame" : `${by < 0 ? "\u2212" : "+"}${Math.abs(by).toFixed(2)} s`;
    if ($("offset").textContent !== text) $("offset").textContent = text;
  }
  requestAnimationFrame(followClip);
}

function setSpeed(speed) {
  look.speed = speed;
  $("speed").value = speed;
  $("clip").playbackRate = $("clip").defaultPlaybackRate = Number(speed);
  keepLook();
}

// ---- what is shown ----

function show(step) {
  const same = step.frame === at.frame && $("still").src;
  at = step;
  if (state.consensus) location.replace(`#${encodeURIComponent(state.frames[at.frame].video)}/${state.frames[at.frame].frame}`);
  showScores();
  [since, seen] = [performance.now(), 0];
  if (!same) {
    rest = null;
    shown = showPictures().finally(() => { [since, seen] = [performance.now(), 0]; });
  }
}

function showScores() {
  const frame = state.frames[at.frame], au = state.aus[at.au], score = scoreOf(at);
  $("where").textContent = `${frame.video}, frame ${frame.frame}, ${frame.time_s.toFixed(2)} s`;
  $("place").textContent = `${at.frame + 1} of ${state.frames.length}`;
  $("au").textContent = au.name;
  $("title").textContent = au.title;
  $("signs").textContent = au.signs;
  $("said").hidden = !state.consensus;
  $("said").textContent = Object.entries(saidOf(at)).map(([coder, said]) => `${coder}: ${said}`).join(" \u00b7 ");
  for (const button of $("pad").children) button.setAttribute("aria-pressed", String(score) === button.dataset.score);
  $("aus").replaceChildren(...state.aus.map((of, place) => {
    const step = { frame: at.frame, au: place }, item = document.createElement("li"), button = document.createElement("button");
    const part = (kind, text) => Object.assign(document.createElement("span"), { className: kind, textContent: text });
    item.className = isDone(step) ? "done" : "";
    button.setAttribute("aria-current", String(place === at.au));
    const equal = state.consensus && !differ(step) ? Object.values(saidOf(step))[0] : "";
    button.append(part("name", of.name), part("title", of.title));
    if (state.consensus && differ(step)) button.append(part("others", Object.values(saidOf(step)).join(" / ")));
    button.append(part("score", String(scoreOf(step) ?? equal)));
    button.onclick = () => type(() => show(step));
    item.append(button);
    return item;
  }));
  showProgress();
}

function showProgress() {
  const [n, k] = [state.frames.length, state.aus.length];
  let steps = 0, frames = 0;
  for (let frame = 0; frame < n; frame++) {
    let open = 0;
    for (let au = 0; au < k; au++) open += isDone({ frame, au }) ? 0 : 1;
    steps += k - open;
    frames += open ? 0 : 1;
  }
  const paces = [...state.seconds].sort((one, other) => one - other), pace = paces[Math.floor(paces.length / 2)];
  const minutes = pace === undefined ? null : Math.ceil((n * k - steps) * pace / 60);
  const left = minutes === null || steps === n * k ? ""
    : minutes < 90 ? `, about ${Math.max(minutes, 1)} min left` : `, about ${(minutes / 60).toFixed(1)} h left`;
  $("bar").value = n ? steps / (n * k) : 1;
  $("progress").textContent = `${frames} of ${n} frames, ${steps} of ${n * k} scores${left}`;
}

function note(text) {
  $("note").textContent = text;
  $("note").hidden = false;
  clearTimeout(note.timer);
  note.timer = setTimeout(() => { $("note").hidden = true; }, 6000);
}

function showLook() {
  const dark = look.theme === "dark" || (look.theme === "auto" && matchMedia("(prefers-color-scheme: dark)").matches);
  document.documentElement.dataset.theme = dark ? "dark" : "light";
  $("theme").textContent = dark ? "Light" : "Dark";
  $("order").textContent = look.order === "au" ? "Next: AU" : "Next: frame";
  $("speed").value = look.speed;
}

function keepLook() {
  showLook();
  ask("api/look", look).catch(() => {}); // no score: not worth a word
}

// ---- what the coder does ----

/** Does one thing after the other, in the order in which they were typed. */
async function type(act) {
  keys.push(act);
  if (busy) return;
  busy = true;
  try {
    while (keys.length) {
      await shown; // nobody scores what they have not seen
      await keys.shift()();
    }
  } finally { busy = false; }
}

async function score(value) {
  const step = at, frame = state.frames[step.frame];
  const seconds = Math.round(seen + (document.hidden ? 0 : performance.now() - since)) / 1000;
  for (const button of $("pad").children) button.setAttribute("aria-pressed", String(value) === button.dataset.score);
  const found = await surely("api/score", {
    id: crypto.randomUUID(), video: frame.video, frame: frame.frame, au: auOf(step), score: value, seconds });
  if (found === null) { showScores(); return; }
  state.scores[step.frame][auOf(step)] = value;
  state.seconds = [...state.seconds, seconds].slice(-60);
  if (found.done !== state.scores.reduce((sum, of) => sum + Object.keys(of).length, 0)) await refresh(); // of another window
  const next = nextOpen(step);
  if (next) show(next);
  else { showScores(); note(state.consensus ? "All differences are settled." : "All is coded. Write the table, or close."); }
}

async function undo() {
  const found = await surely("api/undo", { id: crypto.randomUUID() });
  if (!found || !found.undone) { note("Nothing to take back."); return; }
  const [video, frame, au] = found.undone;
  const place = state.frames.findIndex(of => of.video === video && of.frame === frame);
  if (place < 0) return;
  if (found.score === null) delete state.scores[place][au];
  else state.scores[place][au] = found.score;
  show({ frame: place, au: state.aus.findIndex(of => of.au === au) });
}

async function refresh() {
  const [frame, au] = [state.frames[at.frame], at.au];
  state = await ask("api/state");
  const place = state.frames.findIndex(of => frame && of.video === frame.video && of.frame === frame.frame);
  at = { frame: Math.max(place, 0), au };
}

async function write() {
  try {
    const { table, frames, labels } = await ask("api/export", {});
    note(`${table}: ${labels} labels of ${frames} frames`);
  } catch (error) { note(`The table is not written: ${error.message}`); }
}

function goOn() {
  const next = nextOpen(at);
  if (next) show(next);
  else note("Nothing is open.");
}

function turn(order) {
  look.order = order;
  keepLook();
  note(order === "au" ? "After a score comes the next AU of the frame." : "After a score comes the same AU in the next frame.");
}

async function openPicker() {
  if (!rest) return;
  $("picker-video").replaceChildren(...rest.videos.map(of => new Option(of.video, of.row)));
  $("picker-video").value = rest.row;
  $("picker-frame").max = rest.videos.find(of => of.row === rest.row).frames - 1;
  $("picker-frame").value = rest.place;
  await showPicked();
  $("picker").showModal();
}

async function showPicked() {
  const row = Number($("picker-video").value), place = Number($("picker-frame").value);
  const { url } = await still({ row, place });
  if (place === Number($("picker-frame").value)) $("picked").src = url;
}

async function take(place) {
  try {
    const row = place === null ? rest.row : Number($("picker-video").value), rows = rest.videos.map(of => of.row);
    await ask("api/rest", { row, place });
    for (const one of rows) rests.delete(one);
    await showRest(state.frames[at.frame]);
    $("picker").close();
  } catch (error) { note(error.message); }
}

const LETTERS = { a: 1, b: 2, c: 3, d: 4, e: 5, "?": "?", 9: "?" };
const DO = {
  ArrowRight: () => type(() => show({ ...at, frame: (at.frame + 1) % state.frames.length })),
  ArrowLeft: () => type(() => show({ ...at, frame: (at.frame + state.frames.length - 1) % state.frames.length })),
  ArrowDown: () => type(() => show({ ...at, au: (at.au + 1) % state.aus.length })),
  ArrowUp: () => type(() => show({ ...at, au: (at.au + state.aus.length - 1) % state.aus.length })),
  n: () => type(goOn), u: () => type(undo), Backspace: () => type(undo), w: write, h: () => $("keys").showModal(),
  m: () => turn(look.order === "au" ? "frame" : "au"), r: () => openPicker().catch(error => note(error.message)),
  " ": () => play($("clip").paused), ",": () => goToClipFrame(clipFrame() - 1), ".": () => goToClipFrame(clipFrame() + 1),
  "-": () => setSpeed(SPEEDS[Math.max(SPEEDS.indexOf(look.speed) - 1, 0)]),
  "+": () => setSpeed(SPEEDS[Math.min(SPEEDS.indexOf(look.speed) + 1, SPEEDS.length - 1)]),
};
const STEADY = ["ArrowRight", "ArrowLeft", "ArrowDown", "ArrowUp", ",", "."]; // a key that is held down does these again

addEventListener("keydown", event => {
  if (!state || !state.frames.length || document.querySelector("dialog[open]")) return;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (event.altKey || ((event.ctrlKey || event.metaKey) && key !== "z")) return;
  if (event.target.matches("input, select") && !/^[0-5a-e?]$/.test(key)) return;
  const value = /^[0-5]$/.test(key) ? Number(key) : LETTERS[key];
  const act = event.ctrlKey || event.metaKey ? DO.u : value !== undefined ? () => type(() => score(value)) : DO[key];
  if (!act) return;
  event.preventDefault();
  if (event.repeat && !STEADY.includes(key)) return;
  if ($("trouble").hidden || value === undefined) act(); // while one score waits for the disk, no other is taken
});

// A score is timed while the page is in view alone; and other windows may have changed what is there.
document.addEventListener("visibilitychange", () => {
  if (document.hidden) seen += performance.now() - since;
  else {
    since = performance.now();
    if (state) type(async () => { await refresh(); showScores(); }).catch(() => {});
  }
});

function prepare() {
  for (const [value, words] of Object.entries(WORDS).sort()) {
    const button = document.createElement("button");
    button.dataset.score = value;
    button.append(Object.assign(document.createElement("b"), { textContent: value }), Object.assign(document.createElement("small"), { textContent: words }));
    button.onclick = () => { if ($("trouble").hidden) type(() => score(value === "?" ? "?" : Number(value))); };
    $("pad").append(button);
  }
  $("pad").append($("pad").querySelector("[data-score='?']"));
  $("speed").append(...SPEEDS.map(speed => new Option(`${speed}\u00d7`, speed)));
  for (const [id, key] of Object.entries({ before: "ArrowLeft", after: "ArrowRight", undo: "u", open: "n", export: "w", help: "h", order: "m", pick: "r", play: " ", back: ",", on: "." })) {
    $(id).onclick = event => { DO[key](); event.currentTarget.blur(); }; // for the space bar to stay the clip's
  }
  $("theme").onclick = () => { look.theme = document.documentElement.dataset.theme === "dark" ? "light" : "dark"; keepLook(); };
  $("speed").onchange = () => { setSpeed($("speed").value); $("speed").blur(); };
  $("scrub").oninput = () => goToClipFrame(Number($("scrub").value));
  $("scrub").onchange = () => $("scrub").blur();
  $("picker-video").onchange = () => {
    $("picker-frame").max = rest.videos.find(of => of.row === Number($("picker-video").value)).frames - 1;
    showPicked().catch(error => note(error.message));
  };
  $("picker-frame").oninput = () => showPicked().catch(error => note(error.message));
  $("take").onclick = () => take(Number($("picker-frame").value));
  $("median").onclick = () => take(null);
  for (const id of ["leave", "close"]) $(id).onclick = () => $(id).closest("dialog").close();
  matchMedia("(prefers-color-scheme: dark)").onchange = showLook;
}

async function begin() {
  prepare();
  showLook();
  await sendKept();
  state = await ask("api/state");
  look = { ...look, ...state.look };
  showLook();
  $("coder").textContent = state.consensus ? "" : state.coder;
  $("round").hidden = !state.consensus;
  const late = Object.entries(state.waiting).map(([coder, count]) => `${count} frames wait for ${coder}`).join(", ");
  if (!state.frames.length) {
    $("progress").textContent = `No frame has been coded by two coders yet${late && `: ${late}`}.`;
    return;
  }
  if (late) note(late);
  document.querySelector("main").hidden = false;
  const linked = !state.consensus ? -1 : state.frames.findIndex(of => `#${encodeURIComponent(of.video)}/${of.frame}` === location.hash);
  const last = state.last && state.frames.findIndex(of => of.video === state.last[0] && of.frame === state.last[1]);
  const from = linked >= 0 ? { frame: linked, au: 0 } : state.last && last >= 0 && !state.consensus
    ? { frame: last, au: state.aus.findIndex(of => of.au === state.last[2]) } : moved({ frame: 0, au: 0 }, -1, look.order);
  show(linked >= 0 ? from : nextOpen(from) || { frame: 0, au: 0 });
  followClip();
}

begin().catch(error => { $("progress").textContent = `The page cannot begin: ${error.message}`; });
