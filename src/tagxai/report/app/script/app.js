// The rail and the frame come alive.

let place = ""; // the fragment of the page in the frame: its selection and units

function show(id, isNew = false) {
  const take = takes.find(each => each.id === id), before = takes.find(each => each.id === current);
  if (!take) return;
  const parts = before && before.origin === take.origin && place ? [place] : [];
  if (take.edited) parts.push("clip=2");
  if (isNew && $("#play").checked) parts.push("play=1");
  pair = { A: null, B: null };
  current = id;
  showFrame(addressOf(id), parts.join("&"));
  drawSliders(take, isNew);
  drawHistory();
  if (isNew) announce(`Take ${take.number} is here`);
  if (isNew && !take.edited && isBelow()) $("main").scrollIntoView(); // of an edit, the sliders stay in sight
}

// Whether the frame is below the rail, on a narrow screen.
const isBelow = () => $("main").offsetTop > $(".rail").offsetTop;

function showFrame(path, fragment) {
  const frame = $("#frame"), address = new URL(fragment ? `${path}#${fragment}` : path, location.href).href;
  $("#empty").hidden = true;
  if (frame.hidden) Object.assign(frame, { hidden: false, src: address });
  else frame.contentWindow.location.replace(address);
}

addEventListener("message", event => {
  if (event.source === $("#frame").contentWindow && typeof event.data.fragment === "string") place = event.data.fragment;
});
watchForm();
watchSliders();
listen({ jobs: drawJobs, takes: hearTakes }).catch(refuse);
