// One method's scores: of units over frames, as Attribution.per_unit defines them, in double precision.

class Method {
  constructor(data, page) {
    Object.assign(this, { name: data.name, merge: data.merge, isMask: data.is_mask, streams: data.streams });
    this.units = page.units;
    this.frames = page.frames;
    this.frameRate = page.frame_rate;
    this.values = floatsOf(data.scores);
    this.spread = data.deviation === null ? null : floatsOf(data.deviation);
    this.tokens = this.values.length / this.streams / this.frames;
    this.known = new Map();
  }

  // Running sums over frames, `sums[unit][frame]`: the mean of [first, last) is one subtraction.
  running(by, stream, values = this.values) {
    const only = this.streams > 1 ? stream : null, key = `${by} ${only} ${values === this.spread}`;
    if (this.known.has(key)) return this.known.get(key);
    const streams = only === null ? [...Array(this.streams).keys()] : [only];
    const sums = this.units[by].map(unit => {
      const share = streams.length * (this.merge === "mean" ? unit.tokens.length : 1);
      const sum = new Float64Array(this.frames + 1);
      for (let frame = 0; frame < this.frames; frame++) {
        let value = 0;
        for (const s of streams)
          for (const token of unit.tokens) value += values[(s * this.frames + frame) * this.tokens + token];
        sum[frame + 1] = sum[frame] + value / share;
      }
      return sum;
    });
    this.known.set(key, sums);
    return sums;
  }

  // The mean of each unit's scores over the frames [first, last).
  mean(by, stream, [first, last], values = this.values) {
    return this.running(by, stream, values).map(sum => (sum[last] - sum[first]) / (last - first));
  }

  deviation(by, stream, frames) {
    return this.spread && this.mean(by, stream, frames, this.spread);
  }

  // The score in full colour: 1 for a mask, else that of the strongest half second of any unit.
  full(by, stream) {
    if (this.isMask) return 1;
    const key = `full ${by} ${stream}`;
    if (!this.known.has(key)) {
      const size = Math.max(1, Math.min(this.frames, Math.round(this.frameRate / 2)));
      let full = 0;
      for (const sum of this.running(by, stream))
        for (let end = size; end <= this.frames; end++) full = Math.max(full, Math.abs(sum[end] - sum[end - size]) / size);
      this.known.set(key, Math.max(full, 1e-30));
    }
    return this.known.get(key);
  }

  isSigned(by, stream) {
    return this.running(by, stream).some(sum => sum.some((value, i) => i > 0 && value - sum[i - 1] < -1e-9));
  }
}

// The frames whose centres lie in [start, end) seconds; at least one.
function framesBetween(start, end, page) {
  const first = Math.min(Math.max(Math.ceil(start * page.frame_rate - .5), 0), page.frames - 1);
  return [first, Math.min(Math.max(Math.ceil(end * page.frame_rate - .5), first + 1), page.frames)];
}

// Spearman's rank correlation; null where one side has a single value.
function rankCorrelation(a, b) {
  const [x, y] = [ranks(a), ranks(b)], middle = (a.length - 1) / 2;
  let both = 0, xs = 0, ys = 0;
  for (let i = 0; i < x.length; i++) {
    both += (x[i] - middle) * (y[i] - middle);
    xs += (x[i] - middle) ** 2;
    ys += (y[i] - middle) ** 2;
  }
  return xs && ys ? both / Math.sqrt(xs * ys) : null;
}

// Equal values share the mean of their places.
function ranks(values) {
  const order = values.map((_, i) => i).sort((i, j) => values[i] - values[j]), found = [];
  for (let start = 0, end; start < order.length; start = end) {
    for (end = start + 1; end < order.length && values[order[end]] === values[order[start]];) end++;
    for (let i = start; i < end; i++) found[order[i]] = (start + end - 1) / 2;
  }
  return found;
}
