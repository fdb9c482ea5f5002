// Tables that sort by a column: numbers by size, the rest as text; empty cells and failures last.

function keyOf(cell) {
  const text = cell.textContent.trim(), number = parseFloat(text.replace("−", "-"));
  return Number.isNaN(number) ? text.toLocaleLowerCase() : number;
}

function compare(a, b) {
  if (typeof a !== typeof b) return typeof a === "number" ? -1 : 1;
  return typeof a === "number" ? a - b : a.localeCompare(b);
}

function sortBy(table, column, descending) {
  const rows = [...table.tBodies[0].rows], sign = descending ? -1 : 1;
  const keyed = rows.map(row => [keyOf(row.cells[column]), row]);
  keyed.sort(([a], [b]) => typeof a === typeof b ? sign * compare(a, b) : compare(a, b));
  table.tBodies[0].append(...keyed.map(([, row]) => row));
  [...table.tHead.rows[0].cells].forEach((cell, i) => {
    if (i === column) cell.setAttribute("aria-sort", descending ? "descending" : "ascending");
    else cell.removeAttribute("aria-sort");
  });
}

for (const table of document.querySelectorAll(".sortable")) {
  const head = table.tHead.rows[0];
  [...head.cells].forEach((cell, column) => {
    const sort = () => sortBy(table, column, cell.getAttribute("aria-sort") === "ascending");
    cell.replaceChildren(make("button", { type: "button", className: "sort", onclick: sort }, cell.textContent));
  });
  asToolbar(head);
}
