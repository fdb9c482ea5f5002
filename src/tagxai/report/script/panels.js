// Heat maps, a curve, waveform and spectrogram on one time axis.

const sounds = new Map(); // clip -> its spectrogram, made when it is first shown

function drawMaps() {
  const units = page.units[state.by] || [], shown = shownUnits();
  methods.forEach((method, i) => {
    const block = $(`#map-${i}`), full = method.full(state.by, state.stream);
    const sums = method.running(state.by, state.stream), strengths = new Float32Array(shown.length * page.frames);
    shown.forEach((number, row) => {
      for (let f = 0; f < page.frames; f++) strengths[row * page.frames + f] = (sums[number][f + 1] - sums[number][f]) / full;
    });
    paintStrengths(block.querySelector("canvas"), page.frames, shown.length, strengths);
    block.style.setProperty("--rows", shown.length);
    block.querySelector(".labels").replaceChildren(...shown.map(number => make(
      "span", { dir: "auto", className: units[number].fold ? "minor" : "", "data-unit": number }, units[number].text)));
    block.querySelector(".full").textContent = `full colour: ${method.isMask ? "1, of a mask" : +full.toPrecision(3)}`;
    block.classList.toggle("chosen", methods.length > 1 && i === state.method);
  });
  document.body.classList.toggle("signed", methods.some(each => each.isSigned(state.by, state.stream)));
}

// The score of one unit over time by every method, in a band of its standard deviation where there is one.
function drawTrace(number = state.unit) {
  const canvas = $("#trace");
  if (!canvas || !methods.length) return;
  const chosen = number ?? strongest(), units = page.units[state.by];
  $("#trace-name").replaceChildren(isolated(units[chosen] ? units[chosen].text : ""));
  const width = 1200, height = 120, context = Object.assign(canvas, { width, height }).getContext("2d");
  const style = getComputedStyle(document.body), signed = document.body.classList.contains("signed");
  const y = strength => signed ? height / 2 * (1 - strength * .95) : height * (1 - strength * .95) - 2;
  methods.forEach((method, i) => {
    const full = method.full(state.by, state.stream), sum = method.running(state.by, state.stream)[chosen];
    const spread = method.spread && method.running(state.by, state.stream, method.spread)[chosen];
    const at = (values, f) => Math.min(Math.max((values[f + 1] - values[f]) / full, -1), 1);
    const line = (first, step, shift) => {
      for (let f = first; f >= 0 && f < page.frames; f += step)
        context.lineTo((f + .5) / page.frames * width, y(at(sum, f) + (spread ? shift * at(spread, f) : 0)));
    };
    context.globalAlpha = i === state.method ? 1 : .35;
    context.strokeStyle = context.fillStyle = style.getPropertyValue("--accent");
    context.lineWidth = i === state.method ? 3 : 1.5;
    if (spread) {
      context.globalAlpha *= .25;
      context.beginPath();
      line(0, 1, 1);
      line(page.frames - 1, -1, -1);
      context.fill();
      context.globalAlpha *= 4;
    }
    context.beginPath();
    line(0, 1, 0);
    context.stroke();
  });
}

function strongest() {
  const scores = methods[state.method].mean(state.by, state.stream, selectedFrames());
  const open = scores.map((score, i) => page.units[state.by][i].special ? -Infinity : Math.abs(score));
  return open.indexOf(Math.max(...open));
}

function drawSound() {
  const buffer = clock.buffers[state.clip];
  if (!buffer) return;
  if (!sounds.has(state.clip)) sounds.set(state.clip, spectrogram(mono(buffer), buffer.sampleRate));
  paintLoudness($("#spectrogram"), sounds.get(state.clip));
  drawWave($("#wave"), mono(buffer));
  for (const id of ["#wave", "#spectrogram"]) $(id).setAttribute("aria-label", `${id === "#wave" ? "Waveform" : "Spectrogram"} of ${page.clips[state.clip].title}`);
}

function mono(buffer) {
  const length = Math.min(buffer.length, Math.round(page.duration * buffer.sampleRate)), mixed = new Float32Array(length);
  for (let c = 0; c < buffer.numberOfChannels; c++) {
    const channel = buffer.getChannelData(c);
    for (let i = 0; i < length; i++) mixed[i] += channel[i] / buffer.numberOfChannels;
  }
  return mixed;
}

function drawWave(canvas, samples) {
  const width = 1200, height = 120, context = Object.assign(canvas, { width, height }).getContext("2d");
  context.fillStyle = getComputedStyle(document.body).getPropertyValue("--soft");
  for (let x = 0; x < width; x++) {
    let low = 0, high = 0;
    for (let i = Math.floor(x * samples.length / width); i < (x + 1) * samples.length / width; i++) {
      low = Math.min(low, samples[i]);
      high = Math.max(high, samples[i]);
    }
    context.fillRect(x, height / 2 * (1 - high), 1, Math.max(height / 2 * (high - low), 1));
  }
}
