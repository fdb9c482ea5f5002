// Jobs: what each is doing, its place in the queue, and a button that ends it.

const rows = new Map(); // by the job's id, so that a button keeps its focus while its job goes on

function drawJobs(jobs) {
  const shown = jobs.filter(job => job.state !== "failed" || job.error);
  for (const id of [...rows.keys()]) if (!shown.some(job => job.id === id)) rows.delete(id);
  for (const job of shown) {
    if (!rows.has(job.id)) rows.set(job.id, jobRow(job));
    rows.get(job.id).draw(job);
  }
  const wanted = shown.map(job => rows.get(job.id).row), list = $("#jobs");
  if (wanted.length !== list.children.length || wanted.some((row, i) => row !== list.children[i])) list.replaceChildren(...wanted);
}

function jobRow(job) {
  const text = make("span"), name = job.kind === "edit" ? "Edit" : "Take";
  const button = make("button", { type: "button", className: "small", onclick: () => cancel(job.id) });
  const bar = make("progress", { max: 1, "aria-label": `${name}: progress` }), row = make("li", { "data-job": job.id }, text, button, bar);
  const draw = now => {
    const waits = now.place ? `waiting, ${now.place} before it` : "next";
    const doing = now.state === "failed" ? now.error : now.state === "waiting" ? waits : now.doing || "starting";
    text.textContent = now.state === "failed" ? doing : `${name}: ${doing}`;
    text.className = now.state === "failed" ? "failed" : "";
    button.textContent = now.state === "failed" ? "Dismiss" : "Cancel";
    bar.hidden = now.state === "failed";
    if (now.state === "running" && now.progress) bar.value = now.progress;
    else bar.removeAttribute("value");
  };
  return { row, draw, isEdit: job.kind === "edit" };
}

const cancel = id => call("DELETE", `/visits/${visit}/jobs/${id}`).catch(() => null); // it may have ended by itself

function cancelEdits() {
  for (const [id, { isEdit }] of rows) if (isEdit) cancel(id);
}
