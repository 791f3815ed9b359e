// The page: sign in, send a file, watch it, read the result.

import * as api from "./api.js";
import * as charts from "./charts.js";
import { button, count, element, plural, time } from "./elements.js";
import * as result from "./result.js";

const at = (id) => document.getElementById(id);
const show = (id, visible = true) => { at(id).hidden = !visible; };

let current = ""; // the prediction in hand

// attempt runs what a person has asked for and shows what went wrong with it.
async function attempt(action) {
  show("failure", false);
  try {
    await action();
  } catch (error) {
    if (!(error instanceof api.Failure)) throw error;
    if (error.status === 401) show("sign-in");
    show("run", false);
    showFailure(error);
  }
}

function showFailure(failure) {
  at("failure-text").textContent = failure.code ? `${failure.message} (${failure.code})` : failure.message;
  at("failure-details").replaceChildren(...known(failure.details).slice(0, 10).map((text) => element("li", {}, text)));
  show("failure-link", Boolean(failure.help));
  if (failure.help) at("failure-link").href = failure.help;
  show("failure");
  at("failure").focus();
}

// known is what the details say beyond the sentence.
function known({ errors = [], columns = [], actual, allowed_formats: formats, filename }) {
  const texts = errors.map(describe);
  for (const { label, suggestion } of columns) if (suggestion) texts.push(`${suggestion} looks like ${label}`);
  if (formats) texts.push(...[filename ?? (actual && `This is ${actual}`), `What is taken: ${formats.join(", ")}`].filter(Boolean));
  return texts;
}

const describe = ({ row, line, column, message }) =>
  [row && `row ${count(row)}`, line && `line ${count(line)}`, column && `column ${column}`, message].filter(Boolean).join(", ");

// enter is the way in, with a token at hand.
async function enter() {
  const [{ models }, { subject }] = await Promise.all([api.models(), api.account()]);
  show("sign-in", false);
  at("account-name").textContent = subject;
  show("account");
  show("send");
  at("model").replaceChildren(at("model").options[0],
    ...models.map((model) => element("option", { value: model.name }, model.title)));
  at("samples").replaceChildren("No file at hand? Try a sample: ", ...["telecom", "saas"].map((name) =>
    button(`${name} customers`, () => attempt(() => sendSample(name)), "plain")));
  at("templates").replaceChildren("Which columns? An empty file with all of them: ", ...models.map(({ name, title }) =>
    button(title, () => attempt(() => api.save(`models/${name}/template.csv`)), "plain")));
  await showHistory();
}

const sendSample = async (name) => send(await api.sample(name), `${name}_sample.csv`, name);

async function send(file, name, model) {
  show("result", false);
  progress(name, null, "Sending the file");
  const accepted = await api.upload(file, name, model, (share) => {
    progress(name, 100 * share, share < 1 ? "Sending the file" : "Checking the file");
  });
  await watch(accepted.prediction_id);
}

// watch follows a prediction to its end and shows what came of it.
async function watch(id) {
  current = id;
  show("cancel");
  const last = await api.follow(id, (state) => {
    if (current === id) progress(state.filename, state.progress.percent, stateText(state));
  });
  if (current !== id) return; // another one was opened meanwhile
  show("cancel", false);
  await finish(last);
  await showHistory();
}

async function finish(state) {
  show("run", false);
  if (state.error) throw new api.Failure({ error: state.error }, 0);
  const prediction = await api.prediction(state.prediction_id);
  if (!prediction.summary) throw new api.Failure({ error: { message: "Nothing was scored before it was stopped." } }, 0);
  result.show(prediction);
  show("result");
  at("result").focus();
}

function progress(name, percent, text) {
  show("run");
  at("run-title").textContent = name;
  if (percent === null) at("bar").removeAttribute("value");
  else at("bar").value = percent;
  if (at("status").textContent !== text) at("status").textContent = text;
}

function stateText({ status, status_reason: reason, rows, progress: { rows_per_second: speed, eta_seconds: eta } }) {
  if (status === "queued") return reason ? `Waiting: ${reason}` : "Waiting";
  const parts = [`${plural(rows.scored, "customer", "customers")} scored`];
  if (speed) parts.push(`${count(speed)} rows a second`);
  if (eta) parts.push(`about ${plural(Math.max(Math.round(eta), 1), "second", "seconds")} left`);
  return parts.join(", ");
}

let shown = []; // of the history

async function showHistory(cursor) {
  const page = await api.predictions(cursor);
  shown = cursor ? [...shown, ...page.predictions] : page.predictions;
  show("history", shown.length > 0);
  charts.table(at("list"), [["File", "id"], ["Model"], ["Sent"], ["Rows", "number"], ["State"]], shown.map((p) => [
    button(p.filename, () => attempt(() => open(p)), "plain"), p.model ?? "", time(p.created_at),
    p.row_count === null ? "" : count(p.row_count), p.status,
  ]));
  show("more", Boolean(page.next_cursor));
  at("more").onclick = () => attempt(() => showHistory(page.next_cursor));
}

async function open(prediction) {
  show("result", false);
  current = prediction.prediction_id;
  await (prediction.done ? finish(prediction) : watch(prediction.prediction_id));
}

// takeToken finds a token behind the # of the address, which no server sees, and takes it out of there. Only a server in
// development mode lets it sign in: elsewhere a link would sign whoever opens it in to the account of whoever wrote it.
function takeToken() {
  const token = new URLSearchParams(location.hash.slice(1)).get("token");
  if (!token) return null;
  history.replaceState(null, "", location.pathname);
  const accepted = "development" in document.body.dataset;
  show("link-ignored", !accepted);
  return accepted ? token : null;
}

function listen() {
  at("sign-in").addEventListener("submit", (event) => {
    event.preventDefault();
    api.signIn(at("token").value);
    at("token").value = "";
    attempt(enter);
  });
  at("sign-out").addEventListener("click", () => location.reload()); // the token is nowhere but in this page
  const choose = (file) => file && attempt(() => send(file, file.name, at("model").value));
  at("file").addEventListener("change", () => {
    choose(at("file").files[0]);
    at("file").value = "";
  });
  const drop = at("drop");
  for (const kind of ["dragenter", "dragover"]) {
    drop.addEventListener(kind, (event) => { event.preventDefault(); drop.classList.add("over"); });
  }
  for (const kind of ["dragleave", "drop"]) drop.addEventListener(kind, () => drop.classList.remove("over"));
  drop.addEventListener("drop", (event) => { event.preventDefault(); choose(event.dataTransfer.files[0]); });
  at("cancel").addEventListener("click", () => attempt(() => api.cancel(current)));
  at("download").addEventListener("click", () => attempt(() => api.save(`predictions/${current}/download`)));
  at("rejects").addEventListener("click", () => attempt(() => api.save(`predictions/${current}/rejects`)));
}

listen();
const token = takeToken();
if (token) {
  api.signIn(token);
  attempt(enter);
} else {
  show("sign-in");
  at("token").focus();
}
