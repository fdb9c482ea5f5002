// The takes so far: show one, put two beside one another, take one home.

let takes = null /* until the server lists them */, known = new Set(), current = null, pair = { A: null, B: null };

function hearTakes(found) {
  const first = takes === null, fresh = found.filter(take => !known.has(take.id));
  takes = found;
  fresh.forEach(take => known.add(take.id));
  for (const letter of ["A", "B"]) if (!takes.some(take => take.id === pair[letter])) pair[letter] = null;
  if (first && fresh.length) fillForm(fresh[0]); // the page was loaded again
  if (fresh.length) show(fresh[0].id, !first);
  else drawHistory();
}

function drawHistory() {
  $("#past").hidden = !takes.length;
  refill($("#history"), ...takes.map(take => {
    const marks = ["A", "B"].map(letter => toggle(letter, pair[letter] === take.id, () => choose(letter, take.id), {
      className: "small", "aria-label": `${letter}: take ${take.number}` }));
    const how = [take.generator, take.method, `${+take.seconds.toFixed(2)} s`, `seed ${take.seed}`].join(" · ");
    return make("li", { className: current === take.id ? "current" : "", "data-take": take.id },
      make("button", { type: "button", className: "what", dir: "auto", "aria-pressed": String(current === take.id), onclick: () => { fillForm(take); show(take.id); } }, take.shown),
      make("span", { className: "how", dir: "auto" }, take.edited || (take.contrast ? `beside “${take.contrast}” · ${how}` : how)),
      ...take.warnings.map(text => make("span", { className: "how warning", dir: "auto" }, text)),
      make("span", { className: "row" }, make("span", { className: "how" }, `Take ${take.number}`), ...marks,
        make("a", { className: "small", href: `${addressOf(take.id)}.zip`, download: "", "aria-label": `Zip of take ${take.number}` }, "Zip")));
  }));
  $("#history").querySelectorAll("button").forEach(button => { button.tabIndex = 0; });
}

function choose(letter, id) {
  pair[letter] = pair[letter] === id ? null : id;
  if (pair.A && pair.B) {
    showFrame(addressOf(pair.A, pair.B), "");
    drawSliders(null); // they turn one take
    current = null;
  }
  drawHistory();
}
