// The control API: requests with the token, and the stream of events.

import { $, toast } from "./dom.js";

const BASE = "/__emulator__";
const KEY = "token";

let token = takeToken();

/** Take the token out of the address, so that it is on no screen; a reload finds it again. */
function takeToken() {
  const given = decodeURIComponent(location.hash.slice(1));
  if (given) {
    sessionStorage.setItem(KEY, given);
    history.replaceState(null, "", location.pathname);
  }
  return sessionStorage.getItem(KEY) ?? "";
}

const headers = () => ({ Authorization: `Bearer ${token}`, "X-ConnectyCube-Emulator": "page" });

/** Ask the control API; return the result, or raise an error with its text. */
export async function control(method, path, body) {
  const answer = await fetch(`${BASE}/${path}`, {
    method,
    headers: headers(),
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  const content = await answer.json();
  if (!answer.ok) throw new Error(content.error);
  return content.result;
}

/** Do something for a person; an error is shown. */
export async function attempt(work) {
  try {
    return await work();
  } catch (error) {
    toast(error.message);
    return undefined;
  }
}

async function askForToken() {
  const dialog = $("token-dialog");
  if (!dialog.open) dialog.showModal();
  await new Promise((resolve) => { dialog.addEventListener("close", resolve, { once: true }); });
  token = $("token-form").elements.token.value.trim();
  sessionStorage.setItem(KEY, token);
}

/** Read events for ever; `say` is called with "connecting", "open" or "closed". */
export async function listen(onEvent, say) {
  for (;;) {
    say("connecting");
    try {
      const answer = await fetch(`${BASE}/events?exchanges=yes`, { headers: headers() });
      if (answer.status === 401) {
        await askForToken();
        continue;
      }
      if (!answer.ok) throw new Error((await answer.json()).error);
      await readEvents(answer.body, onEvent);
    } catch (error) {
      console.info(error.message);
    }
    say("closed");
    await new Promise((resolve) => { setTimeout(resolve, 1000); });
  }
}

async function readEvents(body, onEvent) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    text += value;
    const events = text.split("\n\n");
    text = events.pop();
    for (const event of events) {
      const found = /^event: (.*)\ndata: (.*)$/.exec(event);
      if (found) onEvent(found[1], JSON.parse(found[2]));
    }
  }
}
