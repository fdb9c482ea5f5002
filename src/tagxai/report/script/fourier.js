// Loudness by frequency and time, as tagxai.report.figures.spectrogram defines it.

const LOWEST = 50, RANGE = 70, SIZE = 1024, HOP = 256, BANDS = 128;

// The powers of SIZE real samples, by the usual radix-2 transform.
function powers(samples, offset, window, re, im) {
  for (let i = 0; i < SIZE; i++) {
    let j = 0;
    for (let bit = 1, other = SIZE >> 1; bit < SIZE; bit <<= 1, other >>= 1) if (i & bit) j |= other;
    re[j] = (samples[offset + i] || 0) * window[i];
    im[j] = 0;
  }
  for (let half = 1; half < SIZE; half <<= 1) {
    const cosine = Math.cos(Math.PI / half), sine = -Math.sin(Math.PI / half);
    for (let k = 0, c = 1, s = 0; k < half; k++, [c, s] = [c * cosine - s * sine, c * sine + s * cosine])
      for (let i = k; i < SIZE; i += half << 1) {
        const j = i + half, x = re[j] * c - im[j] * s, y = re[j] * s + im[j] * c;
        re[j] = re[i] - x;
        im[j] = im[i] - y;
        re[i] += x;
        im[i] += y;
      }
  }
  for (let i = 0; i <= SIZE / 2; i++) re[i] = re[i] * re[i] + im[i] * im[i];
}

// `{ width, values }`: loudness in [0, 1], the highest band first, evenly spaced in log-frequency from LOWEST upwards.
function spectrogram(samples, sampleRate) {
  const width = 1 + Math.floor(Math.max(samples.length, SIZE) / HOP), values = new Float32Array(width * BANDS);
  const window = Float64Array.from({ length: SIZE }, (_, i) => .5 - .5 * Math.cos(2 * Math.PI * i / SIZE));
  const re = new Float64Array(SIZE), im = new Float64Array(SIZE), nyquist = sampleRate / 2;
  const bins = Array.from({ length: BANDS }, (_, band) =>
    LOWEST * (nyquist / LOWEST) ** (band / (BANDS - 1)) / nyquist * SIZE / 2);
  let loudest = RANGE - 100;
  for (let x = 0; x < width; x++) {
    powers(samples, x * HOP - SIZE / 2, window, re, im);
    for (let band = 0; band < BANDS; band++) {
      const low = Math.min(Math.floor(bins[band]), SIZE / 2 - 1), share = bins[band] - low;
      const power = re[low] * (1 - share) + re[low + 1] * share, loudness = 10 * Math.log10(power + 1e-10);
      values[(BANDS - 1 - band) * width + x] = loudness;
      loudest = Math.max(loudest, loudness);
    }
  }
  return { width, values: values.map(value => Math.min(Math.max((value - loudest) / RANGE + 1, 0), 1)) };
}
