// Talking to the server: requests that answer with a sentence where they are refused, and news as it comes.

const given = JSON.parse($("#data").textContent);
let visit = sessionStorage.getItem("visit");

async function call(method, path, content = null) {
  const options = content === null ? { method } : { method, headers: { "Content-Type": "application/json" }, body: JSON.stringify(content) };
  const answer = await fetch(path, options).catch(() => { throw new Error("The app does not answer; is it still running?"); });
  const found = answer.status === 204 ? {} : await answer.json().catch(() => ({ error: `The app answered ${answer.status}.` }));
  if (!answer.ok) throw new Error(found.error);
  return found;
}

async function openVisit() {
  visit = (await call("POST", "/visits")).visit;
  sessionStorage.setItem("visit", visit);
}

// Listens for good; a visit that the server does not know any more is opened again.
async function listen(hearers) {
  if (visit === null) await openVisit();
  const source = new EventSource(`/visits/${visit}/events`);
  for (const [name, hear] of Object.entries(hearers)) source.addEventListener(name, event => hear(JSON.parse(event.data)));
  source.onerror = () => {
    if (source.readyState !== EventSource.CLOSED) return; // the browser tries again by itself
    visit = null;
    setTimeout(() => listen(hearers).catch(refuse), 1000);
  };
}

async function ask(content) {
  refuse(null);
  return call("POST", `/visits/${visit}/jobs`, content).catch(refuse);
}

function refuse(error) {
  const place = $("#refused");
  place.hidden = error === null;
  place.textContent = error === null ? "" : error.message;
}

const addressOf = (...takes) => `/visits/${visit}/takes/${takes.join("/")}`;
