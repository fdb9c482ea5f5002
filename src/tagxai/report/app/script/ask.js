// The form: what the chosen generator can do, and a new take of it.

const chosenModel = () => given.models.find(model => model.label === $("#generator").value);

function watchForm() {
  $("#generator").replaceChildren(...given.models.map(model => make("option", { value: model.label }, model.label)));
  $("#generator").addEventListener("change", drawModel);
  $("#method").addEventListener("change", drawQuestion);
  $("#ask").addEventListener("submit", event => { event.preventDefault(); explain(); });
  $("#next").addEventListener("click", () => {
    $("#seed").value = Number($("#seed").value) + 1;
    if ($("#ask").reportValidity()) explain();
  });
  $("#prompt").addEventListener("keydown", event => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    $("#ask").requestSubmit();
  });
  drawModel();
}

function drawModel() {
  const model = chosenModel(), before = $("#method").value, families = new Map();
  for (const method of model.methods) families.set(method.family, [...(families.get(method.family) || []), method.name]);
  $("#method").replaceChildren(...[...families].map(([family, names]) =>
    make("optgroup", { label: family }, ...names.map(name => make("option", { value: name }, name)))));
  $("#method").value = model.methods.some(method => method.name === before) ? before : model.methods[0].name;
  const seconds = $("#seconds");
  Object.assign(seconds, { min: +model.frame.toFixed(4), max: model.longest });
  if (!seconds.value || Number(seconds.value) > model.longest) seconds.value = model.seconds;
  drawQuestion();
}

function drawQuestion() {
  const { question } = chosenModel().methods.find(method => method.name === $("#method").value);
  $("#question").textContent = question ? question[0].toUpperCase() + question.slice(1) : "";
}

function explain() {
  ask({
    prompt: $("#prompt").value,
    contrast: $("#contrast").value,
    generator: $("#generator").value,
    method: $("#method").value,
    seconds: Number($("#seconds").value),
    seed: Number($("#seed").value),
  });
}

// What a take was asked for, ready to be asked for again with a change.
function fillForm(take) {
  $("#prompt").value = take.prompt;
  $("#contrast").value = take.contrast;
  if (given.models.some(model => model.label === take.generator)) $("#generator").value = take.generator;
  drawModel();
  $("#method").value = take.method;
  $("#seconds").value = +take.seconds.toFixed(4);
  $("#seed").value = take.seed;
  drawQuestion();
}
