// Sliders by phrase, which unfold to words. Every move asks for the clip again; the server drops the older moves.

const SETTLED = 120; // milliseconds without a move
let turned = { origin: null, take: null, gains: [], asked: "", slides: [] }, timer = null;

// A take that has just come leaves the sliders where they are: they may have moved on.
function drawSliders(take, isNew) {
  $("#turn").hidden = !take || !take.edits || !take.phrases.length;
  if ($("#turn").hidden) return;
  if (turned.origin !== take.origin) {
    turned = { origin: take.origin, gains: [...take.gains], asked: "", slides: [] };
    $("#sliders").replaceChildren(...take.phrases.map((phrase, i) => phraseBlock(take, phrase, i)));
  }
  turned.take = take.id;
  if (isNew && turned.asked) return;
  turned.gains = [...take.gains];
  turned.asked = String(turned.gains);
  showGains();
}

function phraseBlock(take, phrase, number) {
  const inner = make("div", { className: "inner", hidden: true, id: `words-${number}` });
  const several = phrase.words.length > 1;
  const unfold = several ? make("button", { type: "button", className: "small", "aria-expanded": "false", "aria-controls": inner.id, "aria-label": `Words of ${phrase.text}`,
    onclick: () => {
      inner.hidden = !inner.hidden;
      unfold.setAttribute("aria-expanded", String(!inner.hidden));
      unfold.textContent = inner.hidden ? "+" : "−";
    } }, "+") : null;
  inner.append(...phrase.words.map(word => slide(take.words[word], [word], null)));
  return make("div", { className: "phrase" }, slide(phrase.text, phrase.words, unfold), several ? inner : null);
}

function slide(text, words, button) {
  const id = `slide-${turned.slides.length}`, output = make("output", { htmlFor: null });
  const input = make("input", { type: "range", id, min: 0, max: given.largest, step: .1 });
  const block = make("div", { className: "slide" }, make("label", { for: id, dir: "auto" }, text), output, button || make("span"), input);
  input.addEventListener("input", () => {
    for (const word of words) turned.gains[word] = Number(input.value);
    showGains();
    move(SETTLED);
  });
  input.addEventListener("change", () => move(0));
  turned.slides.push({ words, input, output, block });
  return block;
}

function showGains() {
  for (const { words, input, output, block } of turned.slides) {
    const own = words.map(word => turned.gains[word]), same = own.every(gain => gain === own[0]);
    input.value = own.reduce((a, b) => a + b) / own.length;
    output.textContent = same ? `×${+own[0].toFixed(2)}` : "mixed";
    input.setAttribute("aria-valuetext", same ? `times ${+own[0].toFixed(2)}` : "mixed");
    block.classList.toggle("changed", own.some(gain => gain !== 1));
  }
  $("#plain").disabled = turned.gains.every(gain => gain === 1);
}

// Gains of 1 everywhere are the original take: there is nothing to make.
function move(wait) {
  clearTimeout(timer);
  timer = setTimeout(() => {
    if (String(turned.gains) === turned.asked) return;
    turned.asked = String(turned.gains);
    if (turned.gains.every(gain => gain === 1) && takes.some(take => take.id === turned.origin)) {
      cancelEdits();
      show(turned.origin);
    } else ask({ take: turned.take, gains: turned.gains }).then(job => { if (!job) turned.asked = ""; });
  }, wait);
}

function watchSliders() {
  $("#plain").addEventListener("click", () => {
    turned.gains = turned.gains.map(() => 1);
    showGains();
    move(0);
  });
}
