"use strict";

const find = (selector) => document.querySelector(selector);
let source = null;

async function ask(path, body) {
  const options = body === undefined ? {} : {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  };
  const answer = await fetch(path, options);
  if (!answer.ok) throw new Error(answer.status === 401 ? await answer.text() : "That did not work. Try again.");
  return answer;
}

function element(name, kind, text) {
  const made = document.createElement(name);
  made.className = kind;
  made.textContent = text; // never as HTML: others have written it
  return made;
}

function show(message, group) {
  const own = message.sender_id === group.me;
  const item = element("li", own ? "own" : "", "");
  const time = new Date(message.date_sent).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  item.append(
    element("span", "name", own ? "You" : group.names[message.sender_id] ?? "Somebody"),
    element("time", "", time),
    element("p", "", message.body ?? "(an attachment)"),
  );
  const list = find("#messages");
  const isAtEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 80;
  list.append(item);
  if (isAtEnd || own) list.scrollTop = list.scrollHeight;
}

function listen(group) {
  source?.close();
  source = new EventSource(`/stream/${group.id}`);
  source.onopen = () => { find("#state").textContent = ""; };
  source.addEventListener("begin", () => find("#messages").replaceChildren());
  source.addEventListener("message", (event) => show(JSON.parse(event.data), group));
  source.onerror = () => {
    find("#state").textContent = "Connecting …";
    // A refusal ends an EventSource for good; everything else it repeats by itself.
    if (source.readyState === EventSource.CLOSED) setTimeout(begin, 5000);
  };
}

function enter(group) {
  find("#login").hidden = true;
  find("#chat").hidden = false;
  find("#chat h1").textContent = group.name;
  listen(group);
  find("#write").onsubmit = async (event) => {
    event.preventDefault();
    const field = event.target.text;
    const text = field.value;
    field.value = "";
    try {
      await ask(`/messages/${group.id}`, { text });
    } catch (error) {
      field.value = text;
      find("#state").textContent = error.message;
    }
  };
  find("#write").text.focus();
}

function leave() {
  source?.close();
  find("#chat").hidden = true;
  find("#login").hidden = false;
  find("#login").login.focus();
}

async function begin() {
  try {
    const group = await (await ask("/group")).json();
    if (group === null) leave(); else enter(group);
  } catch {
    setTimeout(begin, 5000);
  }
}

find("#login").onsubmit = async (event) => {
  event.preventDefault();
  const { login, password } = event.target;
  find("#login .error").textContent = "";
  try {
    enter(await (await ask("/login", { login: login.value, password: password.value })).json());
    password.value = "";
  } catch (error) {
    find("#login .error").textContent = error.message;
  }
};

find("#logout").onclick = async () => {
  await ask("/logout", {});
  leave();
};

begin();
