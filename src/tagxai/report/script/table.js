// The ranking: every number on the page, for eyes and for screen readers.

const MINUS_BAR = "against";

function scoreCell(value, full, spread = null) {
  const bar = make("span", { className: `bar ${value < 0 ? MINUS_BAR : ""}` });
  bar.style.setProperty("--share", Math.min(Math.abs(value) / full, 1).toFixed(3));
  return make("td", { className: "score", "data-value": value }, score3(value), spread === null ? null : make("small", {}, ` ± ${score3(spread)}`), bar);
}

function drawTable() {
  if (!methods.length) return;
  const units = page.units[state.by], shown = shownUnits(), whole = generatedFrames(), here = selectedFrames();
  const [start, end] = selectedSeconds(), place = state.selection ? `${+start.toFixed(2)}–${+end.toFixed(2)} s` : "whole clip";
  const columns = methods.flatMap((method, i) => {
    const full = method.full(state.by, state.stream), several = methods.length > 1 ? `${method.name}, ` : "";
    const column = (title, frames) => ({
      title: several + title, full, sorted: state.sorted && i === state.method && frames === here,
      values: method.mean(state.by, state.stream, frames), spread: method.deviation(state.by, state.stream, frames),
    });
    return state.selection ? [column(place, here), ...(methods.length > 1 ? [] : [column("whole clip", whole)])] : [column(place, here)];
  });
  const head = make("tr", {}, make("th", { scope: "col" }, state.by), ...columns.map(column =>
    make("th", { scope: "col", "aria-sort": column.sorted ? "descending" : null }, column.title)));
  const rows = shown.map(number => make(
    "tr", { "data-unit": number, className: units[number].fold ? "minor" : "", onmouseenter: () => pointAt(number), onmouseleave: () => pointAt(null) },
    make("th", { scope: "row", dir: "auto" }, units[number].text),
    ...columns.map(column => scoreCell(column.values[number], column.full, column.spread && column.spread[number]))));
  $("#ranking thead").replaceChildren(head);
  $("#ranking tbody").replaceChildren(...rows);
  const hidden = units.map((_, i) => i).filter(i => !shown.includes(i));
  $("#folded").replaceChildren(...(hidden.length ? [
    `Folded: ${hidden.length} of ${units.length}, at most ${score3(Math.max(...hidden.map(i => columns[0].values[i])))}: `,
    ...quoted(hidden.map(i => units[i].text)), "."] : []));
}
