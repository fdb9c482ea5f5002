// When in denoising each word acts: the tables of words by noise levels, in the colours of the selection.

function drawLevels() {
  const units = page.units[state.by], shown = shownUnits(), frames = selectedFrames();
  for (const table of document.querySelectorAll("#levels table")) {
    const method = methods[table.dataset.method], levels = [...page.noise_levels.keys()];
    if (method.streams !== levels.length) continue; // so many scores that the page holds their means alone
    const full = Math.max(...levels.map(level => method.full(state.by, level))); // one for all levels, which differ in size
    const columns = levels.map(level => method.mean(state.by, level, frames));
    table.querySelector("thead th").textContent = state.by;
    table.tBodies[0].replaceChildren(...shown.map(number => make(
      "tr", { className: units[number].fold ? "minor" : "" },
      make("th", { scope: "row", dir: "auto" }, units[number].text),
      ...columns.map(column => levelCell(column[number], full)))));
  }
}

function levelCell(value, full) {
  const cell = make("td", { className: `number tinted${value < 0 ? " against" : ""}`, "data-value": value }, score3(value));
  cell.style.setProperty("--strength", Math.min(Math.abs(value) / full, 1).toFixed(3));
  return cell;
}
