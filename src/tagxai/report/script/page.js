// The page comes alive: data, views, and what each of them listens to.

const page = JSON.parse($("#data").textContent);
const methods = page.methods.map(method => new Method(method, page));
const clock = new Clock(page.clips);

function drawScores(changed = ["by"]) {
  if (methods.length) {
    if (state.sorted || String(changed) !== "selection") drawMaps();
    drawTrace();
    drawTable();
    drawLevels();
  }
  drawPrompt();
  drawSentence();
}

function start() {
  for (const bar of document.querySelectorAll("[role=toolbar]")) asToolbar(bar);
  on("selection by stream method fold sorted", drawScores);
  on("unit", () => { drawPrompt(); drawTrace(); });
  on("selection", drawSelection);
  on("selection by method", writeFragment);
  on("selection by stream method fold sorted", drawView);
  on("clip playing loop rate", drawPlayer);
  on("clip", drawSound);
  on("seconds", drawCursor);
  on("selection loop rate", () => clock.renew());
  on("playing", () => { if (state.playing) requestAnimationFrame(follow); });
  addEventListener("hashchange", readFragment);
  dark.addEventListener("change", repaint);
  addEventListener("beforeprint", () => { printing = true; repaint(); });
  addEventListener("afterprint", () => { printing = false; repaint(); });
  watchPointer();
  watchKeys();
  watchPage();
  readFragment();
  drawScores();
  drawSelection();
  drawCursor();
  drawView();
  drawPlayer();
  drawExports();
  for (const bar of document.querySelectorAll("[role=toolbar]")) bar.renew();
  document.body.classList.add("alive");
  clock.decode(page.sample_rate).then(() => { drawPlayer(); drawSound(); document.body.classList.add("ready"); playIfAsked(); },
    () => announce("This browser cannot decode the page's audio; the clips are beside the page, as FLAC."));
}

function playIfAsked() {
  if (new URLSearchParams(location.hash.slice(1)).has("play")) clock.play();
}

function follow() {
  if (!state.playing) return;
  clock.tick();
  requestAnimationFrame(follow);
}

function repaint() {
  drawScores();
  drawSound();
}

start();
