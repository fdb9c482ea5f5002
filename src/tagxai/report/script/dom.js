// Small helpers for the document.

const $ = selector => document.querySelector(selector);

// make("td", { className: "number" }, "0.5"): an element with properties; names with a dash are attributes.
function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties))
    if (name in element && !name.includes("-")) element[name] = value;
    else if (value !== null && value !== false) element.setAttribute(name, value);
  element.append(...children.filter(child => child !== null));
  return element;
}

const isolated = text => make("bdi", {}, text); // right-to-left words do not turn their sentence around

// A button of a toolbar, pressed or not.
function toggle(text, pressed, onclick, more = {}) {
  return make("button", { type: "button", "aria-pressed": String(pressed), onclick, ...more }, text);
}

// The arrow keys move inside a toolbar, so that it is one stop for the tabulator.
function asToolbar(bar) {
  const buttons = () => [...bar.querySelectorAll("button:not([disabled]):not([hidden])")];
  const choose = button => buttons().forEach(each => { each.tabIndex = each === button ? 0 : -1; });
  bar.addEventListener("focusin", event => choose(event.target));
  bar.addEventListener("keydown", event => {
    const all = buttons(), at = all.indexOf(document.activeElement);
    const rtl = getComputedStyle(bar).direction === "rtl" ? -1 : 1;
    const to = { ArrowRight: at + rtl, ArrowLeft: at - rtl, Home: 0, End: all.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    all[(to + all.length) % all.length].focus();
  });
  bar.renew = () => choose(buttons().find(button => button.tabIndex === 0 && button === document.activeElement) || buttons()[0]);
  bar.renew();
}

// Put new content in place of old without losing the focus of the button at the same place.
function refill(bar, ...children) {
  const at = [...bar.querySelectorAll("button")].indexOf(document.activeElement);
  bar.replaceChildren(...children.filter(child => child !== null));
  const all = [...bar.querySelectorAll("button")];
  all.forEach((button, i) => { button.tabIndex = i === Math.max(at, 0) ? 0 : -1; });
  if (at >= 0 && all[at]) all[at].focus();
}

function announce(text) {
  $("#status").textContent = text;
}

const seconds3 = value => `${+value.toFixed(3)} s`;
const score3 = value => value.toFixed(3).replace("-", "−");
