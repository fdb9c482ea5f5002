// The player's toolbar: play, the clips, loop and speed; and the toolbar of what is shown.

const SPEEDS = [.5, .75, 1, 1.5];
const heard = []; // the clips chosen so far, the last two of which X toggles

function chooseClip(number) {
  if (number < 0 || number >= page.clips.length || number === state.clip) return;
  heard.push(state.clip);
  clock.hear(number);
  set({ clip: number });
}

const toggleTwo = () => chooseClip(heard.length ? heard.at(-1) : Math.min(1, page.clips.length - 1));
const playOrPause = () => state.playing ? clock.pause() : clock.play();

function drawPlayer() {
  const ready = clock.buffers.length > 0;
  refill($("#player"),
    make("button", { type: "button", className: "play", disabled: !ready, onclick: playOrPause, title: "Space" }, state.playing ? "Pause" : "Play"),
    ...page.clips.map((clip, i) => toggle(clip.title, state.clip === i, () => chooseClip(i), {
      title: i < 9 ? `${clip.text} Key ${i + 1}` : clip.text, className: "clip" })),
    page.clips.length > 1 ? make("button", { type: "button", onclick: toggleTwo, title: "Key X: the clip heard before" }, "A/B") : null,
    toggle("Loop", state.loop, () => set({ loop: !state.loop }), { title: "Repeat the selection, or the whole clip. Key L" }),
    make("button", { type: "button", title: "Speed", onclick: () => set({ rate: SPEEDS[(SPEEDS.indexOf(state.rate) + 1) % SPEEDS.length] }) }, `Speed ${state.rate}×`));
  $("#clip-text").textContent = page.clips[state.clip].text;
}

function drawView() {
  const names = { word: "Words", phrase: "Phrases", token: "Tokens" }, streams = Math.max(1, ...methods.map(each => each.streams));
  const groups = [
    Object.keys(names).map(by => toggle(names[by], state.by === by, () => set({ by, unit: null }))),
    methods.length > 1 ? methods.map((method, i) => toggle(method.name, state.method === i, () => set({ method: i }))) : [],
    streams > 1 ? [toggle(`All ${page.stream_name}s`, state.stream === null, () => set({ stream: null })),
      ...[...Array(streams).keys()].map(s => toggle(`${page.stream_name} ${s + 1}`, state.stream === s, () => set({ stream: s })))] : [],
    methods.length ? [toggle("Fold function words", state.fold, () => set({ fold: !state.fold })),
      toggle("Sort by score", state.sorted, () => set({ sorted: !state.sorted }))] : [],
    page.intervals.map(([start, end]) => {
      const frames = framesBetween(start, end, page);
      return toggle(`${start}–${end} s`, String(state.selection) === String(frames), () => set({ selection: frames }));
    }),
    state.selection ? [make("button", { type: "button", onclick: clear, title: "Escape" }, "Whole clip")] : [],
  ];
  refill($("#view"), ...groups.filter(group => group.length).map(group => make("span", { className: "group" }, ...group)));
}

function clear() {
  set({ selection: null, unit: null });
}

// Keys that work anywhere on the page.
function watchPage() {
  document.addEventListener("keydown", event => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea, select")) return;
    const key = event.key.toLowerCase();
    if (key === "escape") clear();
    else if (key === "x" && page.clips.length > 1) toggleTwo();
    else if (key === "l") set({ loop: !state.loop });
    else if (/^[1-9]$/.test(key)) chooseClip(Number(key) - 1);
    else if (key === " " && !event.target.closest("button, a, summary")) playOrPause();
    else return;
    event.preventDefault();
  });
}
