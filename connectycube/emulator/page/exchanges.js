// Exchanges: each request with its answer, each element of a chat stream, as they happen.

import { attempt, control } from "./control.js";
import { $, atFrame, copy, h, isAtEnd, options, timeOf, toEnd } from "./dom.js";
import { nameOf, paint, state } from "./state.js";

const MOST_KEPT = 2000;
const MOST_SHOWN = 500;
const ACKNOWLEDGEMENTS = new Set(["a", "r"]); // XEP-0198
const ARROWS = { request: "⇄", in: "→", out: "←" };
const WORDS = { request: "request", in: "from the client", out: "to the client" };

let log = [];
let waiting = []; // exchanges that are not shown yet
let chosen = null;
let shown = null; // the exchange in the details

/** Take an exchange from the stream. */
export function takeExchange(exchange) {
  log.push(exchange);
  if (log.length > MOST_KEPT * 1.25) log = log.slice(-MOST_KEPT);
  if (isWanted(exchange)) {
    waiting.push(exchange);
    append();
  }
}

/** Read the log. */
export async function readExchanges() {
  const found = await control("POST", "exchanges", { limit: MOST_KEPT, brief: true });
  const latest = found.at(-1)?.id ?? 0;
  log = [...found, ...log.filter((exchange) => exchange.id > latest)]; // some came meanwhile
  show();
}

/** Empty the list. */
export function forgetExchanges() {
  log = [];
  chosen = shown = null;
  show();
  paintDetail();
}

function isWanted(exchange) {
  const user = $("exchange-user").value;
  const side = $("exchange-side").value;
  const text = $("exchange-text").value.trim().toLowerCase();
  if (ACKNOWLEDGEMENTS.has(exchange.what) && !$("exchange-acks").checked) return false;
  if (user && exchange.user_id !== Number(user)) return false;
  if (side && exchange.side !== side) return false;
  return !text || `${exchange.what} ${exchange.kind ?? ""} ${exchange.about} ${exchange.status ?? ""} ${exchange.connection ?? ""}`.toLowerCase().includes(text);
}

function show() {
  waiting = log.filter(isWanted).slice(-MOST_SHOWN);
  $("exchange-list").replaceChildren();
  append.now();
  toEnd($("exchange-list"));
}

function appendNow() {
  const list = $("exchange-list");
  const stays = isAtEnd(list);
  list.append(...waiting.slice(-MOST_SHOWN).map(row));
  waiting = [];
  const surplus = list.childElementCount - MOST_SHOWN;
  for (let number = 0; number < surplus; number += 1) list.firstElementChild.remove();
  if (stays) toEnd(list);
  const count = list.childElementCount;
  const none = log.length ? "No exchange fits." : "Nothing yet.";
  $("exchange-note").textContent = `${count ? `The newest ${count}.` : none} Recorded while this page is open, without secrets.`;
}

const append = atFrame(appendNow);
append.now = appendNow;

const tone = (status) => (status === null || status >= 500 ? "bad" : status >= 400 ? "warn" : "good");

function row(exchange) {
  const { id, direction, side, status, seconds, what, kind, about } = exchange;
  const who = exchange.user_id === null ? "" : nameOf(exchange.user_id);
  const answer = side === "chat" ? "" : status ?? "none";
  return h("li", {},
    h("button", { type: "button", class: "row", "data-id": id, "aria-current": id === chosen ? "true" : null, onclick: () => open(id) },
      h("span", { class: "at" }, clockTime(exchange.at)),
      h("span", { title: WORDS[direction], "aria-label": WORDS[direction], role: "img" }, ARROWS[direction]),
      h("span", { class: "who clip", "data-user": exchange.user_id }, who),
      h("span", { class: "what clip" }, h("span", { class: "mono" }, side === "chat" ? `<${what}>` : what), " ", h("span", { class: "muted" }, [kind, about].filter(Boolean).join(" · "))),
      h("span", { class: side === "chat" ? "status" : `status ${tone(status)}` }, String(answer)),
      h("span", { class: "took" }, seconds === null ? "" : `${(seconds * 1000).toFixed(seconds < 0.01 ? 1 : 0)} ms`)));
}

function clockTime(at) {
  return `${timeOf(at, at * 1000)}.${String(Math.floor((at % 1) * 1000)).padStart(3, "0")}`;
}

async function open(id) {
  chosen = id;
  for (const each of $("exchange-list").querySelectorAll("[aria-current]")) each.removeAttribute("aria-current");
  $("exchange-list").querySelector(`[data-id="${id}"]`)?.setAttribute("aria-current", "true");
  const found = await attempt(() => control("GET", `exchanges/${id}`));
  if (id !== chosen || !found) return;
  shown = found;
  paintDetail();
}

function paintDetail() {
  $("view-exchanges").dataset.open = String(shown !== null);
  $("copy-curl").hidden = !shown?.curl;
  $("copy-text").hidden = shown === null;
  $("close-detail").hidden = shown === null;
  if (shown === null) {
    $("detail-title").textContent = "Details";
    $("detail").replaceChildren(h("p", { class: "empty" }, "Choose an exchange."));
    return;
  }
  const isChat = shown.side === "chat";
  $("detail-title").textContent = isChat ? `<${shown.what}> ${WORDS[shown.direction]}` : shown.what;
  const facts = [
    ["When", clockTime(shown.at)],
    ["User", shown.user_id === null ? null : `${nameOf(shown.user_id)} (${shown.user_id})`],
    ["Connection", shown.connection],
    ["Address", shown.url],
    ["Answer", isChat ? null : shown.status === null ? "none: the connection ended" : `${shown.status}, after ${(shown.seconds * 1000).toFixed(1)} ms`],
  ];
  $("detail").replaceChildren(
    h("dl", { class: "facts" }, facts.filter(([, value]) => value).flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)])),
    ...(isChat
      ? [h("pre", { tabindex: "0" }, pretty(shown.request))]
      : [...part("Request", shown.request_headers, shown.request), ...part("Answer", shown.answer_headers, shown.answer)]),
  );
}

function part(title, headers, body) {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`).join("\n");
  if (!lines && !body) return [];
  return [h("h3", {}, title), h("pre", { tabindex: "0" }, [lines, pretty(body)].filter(Boolean).join("\n\n"))];
}

/** Write JSON and XML with indents; other texts stay as they are. */
function pretty(text) {
  if (text.startsWith("<")) return prettyXml(text);
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

function prettyXml(text) {
  const lines = [];
  let depth = 0;
  for (const piece of text.split(/(?<=>)(?=<)/)) {
    const opens = /^<[^/?]/.test(piece) && !/\/>$/.test(piece) && !/<\/[^>]+>$/.test(piece);
    if (piece.startsWith("</")) depth -= 1;
    lines.push("  ".repeat(Math.max(0, depth)) + piece);
    if (opens) depth += 1;
  }
  return lines.join("\n");
}

function move(event) {
  const step = { ArrowDown: "nextElementSibling", ArrowUp: "previousElementSibling" }[event.key];
  const item = event.target.closest("li");
  if (!step || !item) return;
  event.preventDefault();
  item[step]?.firstElementChild.focus();
}

/** Begin. */
export function beginExchanges() {
  for (const id of ["exchange-user", "exchange-side", "exchange-acks"]) $(id).addEventListener("change", show);
  $("exchange-text").addEventListener("input", show);
  $("exchange-list").addEventListener("keydown", move);
  $("exchange-clear").addEventListener("click", async () => {
    await attempt(() => control("DELETE", "exchanges"));
    forgetExchanges();
  });
  $("copy-curl").addEventListener("click", () => copy(shown.curl));
  $("copy-text").addEventListener("click", () => copy(shown.side === "chat" ? shown.request : $("detail").innerText));
  $("close-detail").addEventListener("click", () => {
    shown = null;
    paintDetail();
  });
  paint(["users"], () => {
    for (const who of $("exchange-list").querySelectorAll("[data-user]")) who.textContent = nameOf(Number(who.dataset.user));
    options($("exchange-user"), [["", "all users"], ...[...state.users.keys()].slice(0, 500).map((id) => [id, nameOf(id)])]);
  });
}
