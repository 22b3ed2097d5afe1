// Users with their connections, dialogs, messages, and a composer as any user.

import { control, attempt } from "./control.js";
import { $, announce, disc, h, isAtEnd, keyed, options, timeOf, toEnd } from "./dom.js";
import { reading } from "./events.js";
import { KINDS, changed, nameOf, now, paint, state, titleOf } from "./state.js";

const MOST_USERS = 300;
const MOST_DIALOGS = 300;
const MOST_MESSAGES = 200;

let chosen = null; // the id of the dialog that is shown
let messages = new Map(); // of that dialog
let unseen = 0; // messages below what is shown

// --- users ------------------------------------------------------------------------------------------

function paintUsers() {
  const wanted = $("find-user").value.trim().toLowerCase();
  const links = sessionsByUser();
  const found = [...state.users.values()].filter(
    (user) => !wanted || [user.login, user.email, user.full_name, String(user.id)].some((text) => text?.toLowerCase().includes(wanted)),
  );
  // Who is connected is at the top; otherwise users stay in their order.
  found.sort((one, other) => links.has(other.id) - links.has(one.id) || one.id - other.id);
  const connected = state.sessions.filter((session) => session.connected).length;
  $("people-count").textContent = `${state.users.size}, ${connected} connected`;
  keyed($("people"), found.slice(0, MOST_USERS), {
    key: (user) => user.id,
    look: (user) => JSON.stringify([nameOf(user.id), user.login, user.email, links.get(user.id)]),
    make: (user) => personRow(user, links.get(user.id) ?? []),
    empty: wanted ? "Nobody is called so." : "No users yet. Add one, or let your program sign up.",
  });
}

function sessionsByUser() {
  const found = new Map();
  for (const session of state.sessions) found.set(session.user_id, [...(found.get(session.user_id) ?? []), session]);
  return found;
}

function personRow(user, sessions) {
  const name = nameOf(user.id);
  return h("li", { class: "person", "data-user": user.id },
    disc(user.id, name),
    h("div", { class: "clip" },
      h("span", { class: "name" }, name), " ",
      h("span", { class: "muted" }, `${user.login ?? user.email ?? ""} · ${user.id}`)),
    h("div", { class: "links" }, sessions.map((session) => linkRow(session, name))));
}

function linkRow(session, name) {
  const { user_id, resource, connected } = session;
  const cut = () => attempt(() => control("POST", "cut", { user_id, resource }));
  const forget = () => attempt(() => control("POST", "forget_sessions", { user_id }));
  return h("div", { class: connected ? "link" : "link waiting", title: connected ? null : "The session waits to be resumed" },
    h("span", { class: "clip", title: resource }, resource),
    connected ? null : h("span", { class: "muted" }, "waits"),
    connected
      ? h("button", { type: "button", class: "small cut", title: "Reset the connection, as a network failure does", "aria-label": `Cut ${resource} of ${name}`, onclick: cut }, "Cut")
      : h("button", { type: "button", class: "small", title: "Drop the sessions that wait, as a restart of the server does", "aria-label": `Forget the sessions of ${name}`, onclick: forget }, "Forget"));
}

function unfold(button, form) {
  button.addEventListener("click", () => {
    form.hidden = !form.hidden;
    button.setAttribute("aria-expanded", String(!form.hidden));
    if (!form.hidden) form.elements[0].focus();
  });
}

async function addUser(event) {
  event.preventDefault();
  const form = event.target;
  const fields = Object.fromEntries([...new FormData(form)].filter(([, value]) => value));
  form.reset(); // at once: the person may go on writing
  form.elements.login.focus();
  if ((await attempt(() => control("POST", "add_user", fields))) !== undefined) return;
  for (const [name, value] of Object.entries(fields)) form.elements[name].value ||= value;
}

// --- dialogs ----------------------------------------------------------------------------------------

function paintDialogs() {
  const found = newestFirst();
  $("dialogs-count").textContent = String(state.dialogs.size);
  keyed($("dialogs"), found.slice(0, MOST_DIALOGS), {
    key: (dialog) => dialog._id,
    look: (dialog) => JSON.stringify([titleOf(dialog), dialog.last_message, dialog.last_message_id, dialog.last_message_user_id, dialog._id === chosen]),
    make: dialogRow,
    empty: "No dialogs yet.",
  });
  const people = [...state.users.keys()].slice(0, MOST_USERS).map((id) => [id, `${nameOf(id)} (${id})`]);
  options($("dialog-form").elements.owner, people);
  options($("dialog-form").elements.others, people);
}

const newestFirst = () =>
  [...state.dialogs.values()].sort(
    (one, other) => latest(other) - latest(one) || (one._id < other._id ? 1 : -1),
  );

const latest = (dialog) => dialog.last_message_date_sent ?? 0;

function dialogRow(dialog) {
  const last = dialog.last_message_id
    ? `${nameOf(dialog.last_message_user_id)}: ${dialog.last_message ?? "(no text)"}`
    : "No messages yet";
  return h("li", {},
    h("button", { type: "button", class: "dialog", "data-dialog": dialog._id, "aria-current": dialog._id === chosen ? "true" : null, onclick: () => choose(dialog._id) },
      h("span", { class: "first" }, h("span", { class: "clip" }, titleOf(dialog)), h("span", { class: "tag" }, KINDS[dialog.type])),
      h("span", { class: "muted clip" }, last)));
}

async function addDialog(event) {
  event.preventDefault();
  const form = event.target;
  const { kind, owner, others, name } = form.elements;
  const body = {
    kind: kind.value,
    owner_id: Number(owner.value),
    occupants_ids: [...others.selectedOptions].map((option) => Number(option.value)).filter((id) => id !== Number(owner.value)),
  };
  if (kind.value !== "private") body.name = name.value;
  const id = await attempt(() => control("POST", "add_dialog", body));
  if (id === undefined) return;
  form.reset();
  form.hidden = true;
  $("add-dialog").setAttribute("aria-expanded", "false");
  state.dialogs = new Map((await control("GET", "dialogs")).map((dialog) => [dialog._id, dialog]));
  choose(id);
}

// --- messages ---------------------------------------------------------------------------------------

/** Show a dialog. */
export async function choose(id) {
  chosen = id;
  messages = new Map();
  unseen = 0;
  $("messages").replaceChildren();
  $("messages").rows = new Map();
  $("view-chat").dataset.open = "true";
  changed("dialogs");
  await readMessages();
  toEnd($("messages"));
}

/** Show the dialog that was written in last, if none is shown. */
export async function chooseFirst() {
  const [first] = newestFirst();
  if (chosen === null && first) await choose(first._id);
}

/** Read the newest messages of the dialog that is shown. */
export const readMessages = () => reading(async () => {
  const id = chosen;
  if (id === null) return;
  const found = await attempt(() => control("POST", "messages", { dialog_id: id, limit: MOST_MESSAGES }));
  if (id !== chosen || found === undefined) return;
  if (messages.size) noteNew(found.filter((message) => !messages.has(message._id)).length);
  messages = new Map(found.map((message) => [message._id, message]));
  paintMessages();
});

function noteNew(count) {
  if (!count) return;
  if (!isAtEnd($("messages"))) unseen += count;
  const dialog = state.dialogs.get(chosen);
  announce("messages", `${count} new in ${dialog ? titleOf(dialog) : "the dialog"}.`);
}

/** Take an event about messages. */
export function takeMessages({ changed: items, deleted }) {
  let count = 0;
  for (const message of items) {
    if (message.chat_dialog_id !== chosen) continue;
    if (!messages.has(message._id)) count += 1;
    messages.set(message._id, message);
  }
  for (const id of deleted) messages.delete(id);
  for (const id of [...messages.keys()].slice(0, Math.max(0, messages.size - MOST_MESSAGES))) messages.delete(id);
  noteNew(count);
  changed("messages");
}

function paintMessages() {
  const list = $("messages");
  const dialog = state.dialogs.get(chosen);
  const stays = isAtEnd(list);
  $("composer").hidden = !dialog;
  if (!dialog) {
    $("messages-title").textContent = "Messages";
    $("messages-about").textContent = "";
    keyed(list, [], { empty: chosen === null ? "Choose a dialog." : "This dialog is gone." });
    return;
  }
  const count = dialog.occupants_count ?? dialog.occupants_ids.length;
  $("messages-title").textContent = titleOf(dialog);
  $("messages-about").textContent = `${KINDS[dialog.type]} · ${count ? dialog.occupants_ids.slice(0, 12).map(nameOf).join(", ") || `${count} users` : "all users"} · ${dialog._id}`;
  keyed(list, [...messages.values()], {
    key: (message) => message._id,
    look: (message) => JSON.stringify([message, nameOf(message.sender_id), marks(message, dialog)]),
    make: (message) => messageRow(message, dialog),
    empty: "No messages yet. Write one below, as any of the users.",
  });
  const writers = dialog.occupants_ids.length ? dialog.occupants_ids : [...state.users.keys()];
  options($("composer").elements.sender, writers.slice(0, MOST_USERS).map((id) => [id, nameOf(id)]));
  if (stays) {
    toEnd(list);
    unseen = 0;
  }
  $("newer").hidden = !unseen;
  $("newer").textContent = unseen === 1 ? "1 new message" : `${unseen} new messages`;
}

const OWN = new Set([
  "_id", "chat_dialog_id", "message", "date_sent", "sender_id", "recipient_id", "attachments", "delivered_ids",
  "read_ids", "read", "views_count", "reactions", "created_at", "updated_at",
]);

function messageRow(message, dialog) {
  const custom = Object.entries(message).filter(([name]) => !OWN.has(name));
  return h("li", { class: "message", "data-message": message._id },
    disc(message.sender_id, nameOf(message.sender_id)),
    h("p", { class: "head" }, h("span", { class: "name" }, nameOf(message.sender_id)), h("time", {}, timeOf(message.date_sent, now()))),
    h("div", {},
      h("p", { class: "body" }, message.message ?? ""),
      h("p", { class: "marks" },
        marks(message, dialog).map(([look, words]) => h("span", { class: `tag ${look}` }, words)),
        (message.attachments ?? []).map((each) => h("span", { class: "tag" }, `${each.type ?? "file"} ${each.name ?? each.url ?? each.id ?? ""}`)),
        Object.entries(message.reactions?.total ?? {}).map(([type, count]) => h("span", { class: "tag" }, `${type} ${count}`)),
        custom.map(([name, value]) => h("span", { class: "tag mono" }, `${name}: ${typeof value === "string" ? value : JSON.stringify(value)}`)))));
}

/** Say who has a message, each with its look: its readers, and those to whom it was delivered. */
function marks(message, dialog) {
  if (dialog.type === 1 || dialog.type === 4) return [["", `seen by ${message.views_count}`]];
  const others = (ids) => (ids ?? []).filter((id) => id !== message.sender_id);
  const readers = others(message.read_ids);
  const reached = others(message.delivered_ids).filter((id) => !readers.includes(id));
  const words = (ids) => (ids.length > 4 ? `${ids.length} users` : ids.map(nameOf).join(", "));
  const found = [];
  if (reached.length) found.push(["soft", `delivered to ${words(reached)}`]);
  if (readers.length) found.push(["good", `read by ${words(readers)}`]);
  return found.length ? found : [["", "sent"]];
}

async function send(event) {
  event.preventDefault();
  const { sender, body } = $("composer").elements;
  const text = body.value;
  if (!text.trim()) return;
  body.value = ""; // at once: the person may go on writing
  const done = await attempt(() => control("POST", "send_message", { dialog_id: chosen, sender_id: Number(sender.value), body: text }));
  if (done === undefined) body.value ||= text;
  else toEnd($("messages"));
}

/** Begin. */
export function beginChat() {
  unfold($("add-user"), $("user-form"));
  unfold($("add-dialog"), $("dialog-form"));
  $("user-form").addEventListener("submit", addUser);
  $("dialog-form").addEventListener("submit", addDialog);
  $("find-user").addEventListener("input", () => changed("users"));
  $("composer").addEventListener("submit", send);
  $("composer").elements.body.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      $("composer").requestSubmit();
    }
  });
  $("messages").addEventListener("scroll", () => {
    if (!isAtEnd($("messages"))) return;
    unseen = 0;
    $("newer").hidden = true;
  });
  $("newer").addEventListener("click", () => toEnd($("messages")));
  $("back").addEventListener("click", () => {
    $("view-chat").dataset.open = "false";
    $("dialogs").querySelector("[aria-current]")?.focus();
  });
  paint(["users", "sessions"], paintUsers);
  paint(["users", "dialogs"], paintDialogs);
  paint(["users", "dialogs", "messages"], paintMessages);
}

/** Forget what is shown, because everything is gone. */
export function forgetChat() {
  if (!state.dialogs.has(chosen)) chosen = null;
  if (chosen === null) $("view-chat").dataset.open = "false";
}
