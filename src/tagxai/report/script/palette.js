// The colours of scores and loudness in the reader's theme; the stops come from tagxai.report.figures.colours.

const dark = matchMedia("(prefers-color-scheme: dark)");
const isDark = () => dark.matches && !printing;
let printing = false;

// 511 colours from -1 to 1, as bytes.
function colourTable() {
  const { hot, cold } = page.palette[isDark() ? "dark" : "light"], table = new Uint8ClampedArray(511 * 4);
  for (let i = 0; i < 511; i++) {
    const strength = (i - 255) / 255, stops = strength < 0 ? cold : hot, place = Math.abs(strength) * (stops.length - 1);
    const low = Math.min(Math.floor(place), stops.length - 2), share = place - low;
    for (let c = 0; c < 3; c++) table[i * 4 + c] = stops[low][c] * (1 - share) + stops[low + 1][c] * share;
    table[i * 4 + 3] = 255;
  }
  return table;
}

// `strengths` in [-1, 1], row by row, as a picture with one pixel each.
function paintStrengths(canvas, width, height, strengths) {
  const table = colourTable(), image = new ImageData(width, height);
  strengths.forEach((strength, i) => {
    const at = 4 * (255 + Math.round(255 * Math.min(Math.max(strength, -1), 1)));
    image.data.set(table.subarray(at, at + 4), i * 4);
  });
  Object.assign(canvas, { width, height }).getContext("2d").putImageData(image, 0, 0);
}

function paintLoudness(canvas, { width, values }) {
  const image = new ImageData(width, BANDS), ink = isDark() ? 230 : 40;
  values.forEach((value, i) => image.data.set([ink, ink, ink, Math.round(255 * value)], i * 4));
  Object.assign(canvas, { width, height: BANDS }).getContext("2d").putImageData(image, 0, 0);
}
