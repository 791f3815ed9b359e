// The API as this page uses it. The token lives in this module only.

let token = "";

export const signIn = (text) => { token = text.trim(); };

// Failure is an answer of the API that is an error, or no answer at all.
export class Failure extends Error {
  constructor(body, status) {
    const error = body?.error ?? { message: "The server cannot be reached. Please try again." };
    super(error.message);
    this.code = error.code;
    this.details = error.details ?? {};
    this.help = error.support_url;
    this.status = status;
    this.request = body?.request_id;
  }
}

const headers = (more = {}) => ({ Authorization: `Bearer ${token}`, ...more });

async function answer(path, options = {}) {
  let response;
  try {
    response = await fetch(path, { ...options, headers: headers(options.headers) });
  } catch {
    throw new Failure(null, 0);
  }
  if (!response.ok) throw new Failure(await response.json().catch(() => null), response.status);
  return response;
}

const json = async (path, options) => (await answer(path, options)).json();

export const models = () => json("models");
export const account = () => json("account");
export const prediction = (id) => json(`predictions/${id}`);
export const cancel = (id) => json(`predictions/${id}/cancel`, { method: "POST" });
export const sample = async (name) => (await answer(`csv-samples/${name}`)).blob();

export const predictions = (cursor) =>
  json(`predictions?limit=10${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ""}`);

// upload sends a file and tells how much of it is sent, from 0 to 1. fetch cannot tell that.
export function upload(file, name, model, sent) {
  const query = new URLSearchParams({ filename: name, ...(model && { model }) });
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", `upload?${query}`);
    for (const [key, value] of Object.entries(headers({ "Content-Type": "text/csv" }))) {
      request.setRequestHeader(key, value);
    }
    request.responseType = "json";
    request.upload.onprogress = (event) => event.lengthComputable && sent(event.loaded / event.total);
    request.onload = () =>
      request.status < 300 ? resolve(request.response) : reject(new Failure(request.response, request.status));
    request.onerror = () => reject(new Failure(null, 0));
    request.send(file);
  });
}

// save downloads a file under the name that the server gives it.
export async function save(path) {
  const response = await answer(path);
  const name = /filename="([^"]+)"/.exec(response.headers.get("Content-Disposition") ?? "")?.[1] ?? "file.csv";
  const link = document.createElement("a");
  link.href = URL.createObjectURL(await response.blob());
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

const wait = (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000));

// follow calls seen with every state of a prediction until it is done, and gives the last one. EventSource can send no
// token, so the stream is read here; one that breaks off is taken up where it ended.
export async function follow(id, seen) {
  let last = "";
  for (let pause = 0.5; ; pause = Math.min(2 * pause, 10)) {
    try {
      const response = await answer(`predictions/${id}/events`, { headers: last ? { "Last-Event-ID": last } : {} });
      for await (const event of events(response.body)) {
        last = event.id;
        pause = 0.5;
        const state = JSON.parse(event.data);
        seen(state);
        if (state.done) return state;
      }
    } catch (error) {
      if (error instanceof Failure && error.status >= 400 && error.status < 500) throw error;
    }
    await wait(pause);
  }
}

// events reads a stream of server-sent events.
async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const blocks = (rest + value).split("\n\n");
    rest = blocks.pop();
    for (const block of blocks) {
      const event = Object.fromEntries(block.split("\n").map((line) => line.split(/: (.*)/s, 2)));
      if (event.data) yield event;
    }
  }
}
