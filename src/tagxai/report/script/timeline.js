// The cursor and the selection over the panels: mouse, touch and keyboard.

const STEP = .1; // seconds of an arrow key
let anchor = null, edge = null; // frames between which Shift and the arrow keys select

function secondsAt(event) {
  const box = $("#over").getBoundingClientRect();
  return Math.min(Math.max((event.clientX - box.left) / box.width, 0), 1) * page.duration;
}

function drawSelection() {
  const over = $("#over"), [first, last] = selectedFrames(), [start, end] = selectedSeconds();
  over.classList.toggle("selected", state.selection !== null);
  over.style.setProperty("--start", `${100 * first / page.frames}%`);
  over.style.setProperty("--end", `${100 * last / page.frames}%`);
  for (const [id, value] of [["#start", start], ["#end", end]]) {
    $(id).tabIndex = state.selection ? 0 : -1;
    $(id).setAttribute("aria-valuenow", +value.toFixed(4));
    $(id).setAttribute("aria-valuetext", seconds3(value));
  }
  $("#interval").textContent = state.selection ? `${seconds3(start)} to ${seconds3(end)}` : "whole clip";
}

function drawCursor() {
  const cursor = $("#cursor");
  $("#over").style.setProperty("--at", `${100 * Math.min(state.seconds / page.duration, 1)}%`);
  cursor.setAttribute("aria-valuenow", state.seconds.toFixed(2));
  cursor.setAttribute("aria-valuetext", `${state.seconds.toFixed(2)} s`);
  $("#now").textContent = `${state.seconds.toFixed(2)} / ${+page.duration.toFixed(2)} s`;
}

// Frames [first, last) from two places in seconds, in either order: the frame under each belongs to them.
function framesUnder(a, b) {
  const frame = seconds => Math.min(Math.floor(seconds * page.frame_rate + 1e-6), page.frames - 1);
  return [Math.min(frame(a), frame(b)), Math.max(frame(a), frame(b)) + 1];
}

function watchPointer() {
  const over = $("#over");
  let began = null;
  over.addEventListener("pointerdown", event => {
    if (event.button !== 0) return;
    anchor = null;
    const handle = event.target.closest(".handle"), at = secondsAt(event);
    over.setPointerCapture(event.pointerId);
    const kept = handle && (handle.id === "start" ? state.selection[1] - 1 : state.selection[0]);
    began = { x: event.clientX, from: handle ? (kept + .5) / page.frame_rate : at, moved: handle !== null };
    (handle || $("#cursor")).focus({ preventScroll: true });
  });
  over.addEventListener("pointermove", event => {
    readOut(event);
    if (!began) return;
    began.moved ||= Math.abs(event.clientX - began.x) > 4;
    if (began.moved) set({ selection: framesUnder(began.from, secondsAt(event)) });
  });
  over.addEventListener("pointerup", event => {
    if (began && !began.moved) clock.seek(secondsAt(event));
    began = null;
  });
  over.addEventListener("pointercancel", () => { began = null; });
  over.addEventListener("pointerleave", () => { $("#here").textContent = ""; });
}

// The score under the pointer.
function readOut(event) {
  const seconds = secondsAt(event), canvas = methods.map((_, i) => $(`#map-${i} canvas`)).find(each => {
    const box = each.getBoundingClientRect();
    return event.clientY >= box.top && event.clientY < box.bottom;
  });
  let text = seconds3(seconds);
  if (canvas) {
    const i = methods.findIndex((_, number) => $(`#map-${number} canvas`) === canvas), box = canvas.getBoundingClientRect();
    const shown = shownUnits(), unit = shown[Math.min(Math.floor((event.clientY - box.top) / box.height * shown.length), shown.length - 1)];
    const [frame] = framesUnder(seconds, seconds);
    const score = methods[i].mean(state.by, state.stream, [frame, frame + 1])[unit];
    text = `${page.units[state.by][unit].text} at ${text}: ${score3(score)}`;
  }
  $("#here").textContent = text;
}

function watchKeys() {
  const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowDown: -1, ArrowUp: 1, PageDown: -10, PageUp: 10, Home: -1e9, End: 1e9 };
  $("#cursor").addEventListener("keydown", event => {
    const step = steps[event.key];
    if (step === undefined || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    if (!event.shiftKey) {
      anchor = null;
      return clock.seek(clock.position() + step * STEP);
    }
    if (anchor === null || !state.selection) [anchor] = [edge] = framesUnder(state.seconds, state.seconds);
    edge = Math.min(Math.max(edge + step, 0), page.frames);
    select(Math.min(anchor, edge), Math.max(anchor, edge));
  });
  for (const id of ["start", "end"])
    $(`#${id}`).addEventListener("keydown", event => {
      const step = steps[event.key];
      if (step === undefined || !state.selection) return;
      event.preventDefault();
      const [first, last] = state.selection;
      if (id === "start") select(Math.min(first + step, last - 1), last);
      else select(first, Math.max(last + step, first + 1));
    });
}

function select(first, last) {
  first = Math.min(Math.max(first, 0), page.frames - 1);
  set({ selection: [first, Math.min(Math.max(last, first + 1), page.frames)] });
}
