// What the reader has chosen. Every view listens to it, so that no view knows another.

const state = {
  selection: null, // frames [first, last), or null for the whole clip
  by: "word",
  stream: null,
  method: 0,
  fold: true,
  sorted: false,
  unit: null, // pointed at, or chosen
  clip: 0,
  seconds: 0,
  rate: 1,
  loop: false,
  playing: false,
};
const listeners = [];

function on(names, listener) {
  listeners.push([names.split(" "), listener]);
}

function set(changes) {
  const changed = Object.keys(changes).filter(name => String(state[name]) !== String(changes[name]));
  Object.assign(state, changes);
  for (const [names, listener] of listeners) if (names.some(name => changed.includes(name))) listener(changed);
}

const generatedFrames = () => [page.given, page.frames]; // all but the sound that the clip continues
const selectedFrames = () => state.selection || generatedFrames();
const selectedSeconds = () => selectedFrames().map(frame => frame / page.frame_rate);
const isFolded = unit => state.fold && unit.fold;

// The units on show by their numbers, in the chosen order.
function shownUnits() {
  const units = page.units[state.by] || [];
  let shown = units.map((_, i) => i).filter(i => !isFolded(units[i]));
  if (!shown.length) shown = units.map((_, i) => i);
  if (!state.sorted || !methods.length) return shown;
  const scores = methods[state.method].mean(state.by, state.stream, selectedFrames());
  return shown.sort((i, j) => scores[j] - scores[i]);
}

// -- the fragment keeps what is chosen, #t=1.2,2.4&by=phrase; an app also asks for a clip, and to play it -------------

function readFragment() {
  const given = new URLSearchParams(location.hash.slice(1)), found = {};
  const [start, end] = (given.get("t") || "").split(",").map(Number);
  if (start >= 0 && end > start && start < page.duration) found.selection = framesBetween(start, end, page);
  if (given.get("by") in page.units) found.by = given.get("by");
  const method = methods.findIndex(each => each.name === given.get("method"));
  if (method >= 0) found.method = method;
  if (page.clips[given.get("clip") - 1]) found.clip = given.get("clip") - 1;
  set({ selection: null, ...found });
}

function writeFragment() {
  const parts = new URLSearchParams();
  if (state.selection) parts.set("t", selectedSeconds().map(value => +value.toFixed(4)).join(","));
  if (state.by !== "word") parts.set("by", state.by);
  if (state.method > 0) parts.set("method", methods[state.method].name);
  const text = parts.toString().replaceAll("%2C", ",");
  if (parent !== window) parent.postMessage({ fragment: text }, "*"); // an app shows its next page at the same place
  try {
    history.replaceState(null, "", text ? `#${text}` : location.pathname + location.search);
  } catch {
    // a notebook's frame has no address of its own
  }
}
