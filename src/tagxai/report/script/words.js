// The prompt in the colours of the selection, and the sentence that says it in words.

const STRONG = .5, WEAK = .1; // of full colour

function drawPrompt() {
  const units = page.units[state.by] || [], method = methods[state.method];
  const scores = method ? method.mean(state.by, state.stream, selectedFrames()) : [];
  const full = method ? method.full(state.by, state.stream) : 1;
  refill($("#prompt"), ...page.pieces[state.by].flatMap(([text, number]) => {
    if (number < 0) return [text];
    const unit = units[number], strength = Math.min(Math.abs(scores[number] || 0) / full, 1);
    const button = toggle(text, state.unit === number, () => set({ unit: state.unit === number ? null : number }), {
      className: `word${scores[number] < 0 ? " against" : ""}${unit.special ? " special" : ""}`,
      title: method ? `${unit.text}: ${score3(scores[number])}` : unit.text,
      onmouseenter: () => pointAt(number),
      onmouseleave: () => pointAt(null),
      onfocus: () => pointAt(number),
      onblur: () => pointAt(null),
    });
    button.style.setProperty("--strength", strength.toFixed(3));
    if (page.gains[state.by] && page.gains[state.by][number] !== 1)
      button.append(make("small", {}, ` ×${page.gains[state.by][number]}`));
    return [button];
  }));
}

// A row and a word that are pointed at stand out together.
function pointAt(number) {
  document.querySelectorAll("[data-unit]").forEach(each => {
    each.classList.toggle("pointed", Number(each.dataset.unit) === number);
  });
  drawTrace(number === null ? state.unit : number);
}

const quoted = texts => texts.flatMap((text, i) => [i ? (i === texts.length - 1 ? " and " : ", ") : "", isolated(`“${text}”`)]);

function drawSentence() {
  const parts = [], method = methods[state.method];
  if (method) {
    const units = page.units[state.by], scores = method.mean(state.by, state.stream, selectedFrames());
    const full = method.full(state.by, state.stream), [start, end] = selectedSeconds();
    const ranked = units.map((unit, i) => ({ unit, strength: scores[i] / full })).filter(each => !each.unit.special)
      .sort((a, b) => b.strength - a.strength);
    const best = ranked[0] ? ranked[0].strength : 0;
    const pick = test => ranked.filter(test).map(each => each.unit.text);
    const most = pick(each => each.strength >= WEAK && each.strength >= STRONG * best).slice(0, 4);
    const hardly = pick(each => Math.abs(each.strength) < WEAK && !each.unit.fold).slice(0, 4);
    const against = pick(each => each.strength <= -WEAK).slice(-3);
    parts.push(state.selection ? `From ${+start.toFixed(2)} to ${+end.toFixed(2)} s, ` : "Over the whole clip, ");
    if (most.length) parts.push(...quoted(most), most.length > 1 ? " matter most" : " matters most");
    else parts.push(`no ${state.by} matters much`);
    if (hardly.length && most.length) parts.push("; ", ...quoted(hardly), hardly.length > 1 ? " are hardly used" : " is hardly used");
    if (against.length) parts.push("; ", ...quoted(against), against.length > 1 ? " speak against this sound" : " speaks against this sound");
    parts.push(". ");
    if (methods.length > 1) parts.push(...agreementHere());
  }
  $("#sentence").replaceChildren(...parts);
}

function agreementHere() {
  const means = methods.map(each => each.mean(state.by, state.stream, selectedFrames())), found = [];
  means.forEach((a, i) => means.slice(0, i).forEach(b => found.push(rankCorrelation(a, b))));
  const known = found.filter(value => value !== null), top = means.map(scores => {
    const open = scores.map((score, i) => page.units[state.by][i].special ? -Infinity : score);
    return page.units[state.by][open.indexOf(Math.max(...open))].text;
  });
  const mean = known.length ? ` (mean rank correlation ${score3(known.reduce((a, b) => a + b) / known.length)})` : "";
  return new Set(top).size === 1
    ? [`All ${methods.length} methods put `, ...quoted([top[0]]), ` first${mean}.`]
    : [`The ${methods.length} methods do not agree on the first ${state.by}${mean}.`];
}
