// Scores and labels for other programs, as `tagxai export` writes them.

const csvField = text => /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;

// The ranking as it stands.
function rankingCsv() {
  const rows = [...document.querySelectorAll("#ranking tr")].map(row =>
    [...row.cells].map(cell => cell.classList.contains("score") ? cell.firstChild.data.replace("−", "-") : cell.textContent));
  return rows.map(row => row.map(csvField).join(",")).join("\n") + "\n";
}

// Where each unit is strong: at least half of full colour, as [start, end) in seconds.
function segments(method) {
  const full = method.full(state.by, state.stream), sums = method.running(state.by, state.stream);
  return page.units[state.by].map((unit, i) => {
    const found = [], strong = f => f < page.frames && (sums[i][f + 1] - sums[i][f]) / full >= STRONG - 1e-9;
    for (let f = 0; f < page.frames; f++) {
      if (!strong(f)) continue;
      const first = f;
      while (strong(f)) f++;
      found.push([first / page.frame_rate, f / page.frame_rate]);
    }
    return { unit, found };
  }).filter(each => !each.unit.special);
}

function labelRows() {
  return segments(methods[state.method]).flatMap(({ unit, found }) => found.map(([start, end]) => [start, end, unit.text]))
    .sort((a, b) => a[0] - b[0] || a[1] - b[1]);
}

const six = value => value.toFixed(6), oneLine = text => text.replace(/[\t\r\n]+/g, " ");

const labelFiles = {
  Audacity: ["labels.txt", () => labelRows().map(([a, b, text]) => `${six(a)}\t${six(b)}\t${oneLine(text)}\n`).join("")],
  Praat: ["labels.TextGrid", () => textGrid(segments(methods[state.method]))],
  Raven: ["labels.selections.txt", () => [
    ["Selection", "View", "Channel", "Begin Time (s)", "End Time (s)", "Low Freq (Hz)", "High Freq (Hz)", "Annotation"],
    ...labelRows().map(([a, b, text], i) => [i + 1, "Spectrogram 1", 1, six(a), six(b), "0.0", (page.sample_rate / 2).toFixed(1), oneLine(text)]),
  ].map(row => row.join("\t") + "\n").join("")],
};

// Praat wants every tier whole: silence between labels is an empty label.
function textGrid(found) {
  const quote = text => `"${oneLine(text).replaceAll('"', '""')}"`, end = six(page.duration);
  const lines = ['File type = "ooTextFile"', 'Object class = "TextGrid"', "", `xmin = 0`, `xmax = ${end}`, "tiers? <exists>", `size = ${found.length}`, "item []:"];
  found.forEach((tier, i) => {
    const marks = [];
    let last = 0;
    for (const [start, stop] of tier.found) {
      if (start > last + 1e-9) marks.push([last, start, ""]);
      marks.push([start, stop, tier.unit.text]);
      last = stop;
    }
    if (last < page.duration - 1e-9) marks.push([last, page.duration, ""]);
    lines.push(`    item [${i + 1}]:`, '        class = "IntervalTier"', `        name = ${quote(tier.unit.text)}`, "        xmin = 0", `        xmax = ${end}`, `        intervals: size = ${marks.length}`);
    marks.forEach(([a, b, text], j) => lines.push(`        intervals [${j + 1}]:`, `            xmin = ${six(a)}`, `            xmax = ${six(b)}`, `            text = ${quote(text)}`));
  });
  return lines.join("\n") + "\n";
}

function download(name, content, type) {
  const address = URL.createObjectURL(new Blob([content], { type }));
  make("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 10000);
}

async function copyCsv() {
  const text = rankingCsv();
  try {
    await navigator.clipboard.writeText(text);
  } catch { // a frame or an old browser may not let a page write there
    const area = make("textarea", { value: text, "aria-label": "CSV" });
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
  announce("The table is in the clipboard, as CSV.");
}

function drawExports() {
  const labels = methods.length ? Object.entries(labelFiles).map(([name, [file, text]]) =>
    make("button", { type: "button", onclick: () => download(file, text(), "text/plain") }, `Labels for ${name}`)) : [];
  const csv = methods.length ? make("button", { type: "button", onclick: copyCsv }, "Copy as CSV") : null;
  const sound = make("button", { type: "button", onclick: () => {
    const clip = page.clips[state.clip];
    download(clip.file, bytesOf(clip.audio), clip.type);
  } }, "Download the clip");
  $("#exports").replaceChildren(...[csv, ...labels, sound].filter(Boolean));
}
