// The page: its views, its clock, and the events of the emulator.

import { beginChat, chooseFirst, forgetChat, readMessages, takeMessages } from "./chat.js";
import { beginConnect, readConnect } from "./connect.js";
import { attempt, control, listen } from "./control.js";
import { $, ask, timeOf, toast } from "./dom.js";
import { onEvents, reading, tell } from "./events.js";
import { beginExchanges, forgetExchanges, readExchanges, takeExchange } from "./exchanges.js";
import { beginFaults, readForms, tellFaults } from "./faults.js";
import { beginPushes } from "./pushes.js";
import { changed, merge, now, state } from "./state.js";

const TABS = [...document.querySelectorAll("[role=tab]")];
const MOST_PUSHES = 10_000; // as many as the emulator keeps

// --- views ------------------------------------------------------------------------------------------

function showTab(tab, { focus = false } = {}) {
  for (const each of TABS) {
    const isShown = each === tab;
    each.setAttribute("aria-selected", String(isShown));
    each.tabIndex = isShown ? 0 : -1;
    $(each.getAttribute("aria-controls")).hidden = !isShown;
  }
  sessionStorage.setItem("view", tab.id);
  if (focus) tab.focus();
  tab.scrollIntoView({ block: "nearest", inline: "nearest" });
  for (const list of document.querySelectorAll(".log")) list.dispatchEvent(new Event("scroll"));
}

function beginTabs() {
  for (const [index, tab] of TABS.entries()) {
    tab.addEventListener("click", () => showTab(tab));
    tab.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (step) showTab(TABS[(index + step + TABS.length) % TABS.length], { focus: true });
    });
  }
  showTab($(sessionStorage.getItem("view") ?? "") ?? TABS[0]);
}

// --- clock ------------------------------------------------------------------------------------------

const UNITS = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];

function inWords(seconds) {
  let rest = Math.round(seconds);
  const words = [];
  for (const [unit, size] of UNITS) {
    if (rest >= size) words.push(`${Math.floor(rest / size)} ${unit}`);
    rest %= size;
  }
  return words.join(" ");
}

function takeClock({ time, advanced }) {
  state.offset = time * 1000 - Date.now();
  $("advanced").textContent = advanced ? `+ ${inWords(advanced)}` : "";
  showTime();
}

function showTime() {
  $("clock").textContent = timeOf(now(), now());
}

// --- events -----------------------------------------------------------------------------------------

const TAKERS = {
  users: (data) => (data.left_out ? attempt(readUsers) : merge(state.users, "id", data)),
  dialogs: (data) => (data.left_out ? attempt(readDialogs) : merge(state.dialogs, "_id", data)),
  messages: (data) => (data.left_out ? readMessages() : takeMessages(data)),
  sessions: (data) => { state.sessions = data; },
  faults: (data) => {
    const before = state.faults.length;
    state.faults = data;
    tellFaults(before);
  },
  switches: (data) => { state.switches = data; },
  clock: takeClock,
  pushes: (data) => { state.pushes = [...state.pushes, ...data].slice(-MOST_PUSHES); },
  reset_emails: (data) => { state.mails = data; },
  exchange: takeExchange,
  behind: () => attempt(readAll),
  reset: () => { forgetExchanges(); attempt(readAll); },
};
const PAINTED = { reset_emails: "pushes" };

function take(name, data) {
  if (name === "ready") {
    begin();
  } else {
    TAKERS[name]?.(data);
    changed(PAINTED[name] ?? name);
  }
}

function begin() {
  say("open");
  forgetExchanges();
  attempt(() => reading(() => Promise.all([readForms(), readConnect(), readExchanges(), readAll()])));
}

const mapOf = (items, key) => new Map(items.map((item) => [item[key], item]));

const readUsers = () => reading(async () => {
  state.users = mapOf(await control("GET", "users"), "id");
  changed("users");
});

const readDialogs = () => reading(async () => {
  state.dialogs = mapOf(await control("GET", "dialogs"), "_id");
  changed("dialogs");
});

const readAll = () => reading(async () => {
  await Promise.all([
    readUsers(),
    readDialogs(),
    ...[["POST", "sessions"], ["GET", "faults"], ["GET", "switches"], ["GET", "pushes"]].map(async ([method, name]) => {
      state[name] = await control(method, name);
    }),
    control("GET", "reset_emails").then((mails) => { state.mails = mails; }),
    control("GET", "clock").then(takeClock),
  ]);
  forgetChat();
  await readMessages();
  if (matchMedia("(min-width: 801px)").matches) await chooseFirst();
  changed("users", "dialogs", "sessions", "faults", "switches", "pushes", "messages");
});

const STATES = { connecting: "Connecting", open: "Connected", closed: "The emulator has ended" };

function say(word) {
  if (word === "connecting" && $("connection").dataset.state === "closed") return; // until it is there again
  $("connection").dataset.state = word;
  $("connection").textContent = STATES[word];
}

// --- save, load, reset ------------------------------------------------------------------------------

async function save() {
  const document_ = await attempt(() => control("GET", "save"));
  if (!document_) return;
  const url = URL.createObjectURL(new Blob([JSON.stringify(document_, null, 2)], { type: "application/json" }));
  const link = document.createElement("a");
  link.href = url;
  link.download = "emulator.json";
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
  toast(`Saved ${document_.users.length} users, ${document_.dialogs.length} dialogs and ${document_.messages.length} messages.`);
}

async function load(file) {
  let content;
  try {
    content = JSON.parse(await file.text());
  } catch (error) {
    toast(`${file.name} is not JSON: ${error.message}`);
    return;
  }
  const report = await attempt(() => control("POST", "load", content));
  if (report) toast(`Loaded ${new Set(Object.values(report.users)).size} users, and ${report.messages} messages.`);
}

async function reset() {
  const text = "Users, dialogs, messages and sessions are deleted, connections and faults end, clock and switches are as at the start.";
  if (await ask("Reset the emulator?", text, "Reset")) await attempt(() => control("POST", "reset"));
}

$("advance").addEventListener("submit", (event) => {
  event.preventDefault();
  attempt(() => control("POST", "clock/advance", { seconds: Number($("advance-seconds").value) }));
});
$("save").addEventListener("click", save);
$("load").addEventListener("click", () => $("load-file").click());
$("load-file").addEventListener("change", async () => {
  const [file] = $("load-file").files;
  if (file) await load(file);
  $("load-file").value = "";
});
$("reset").addEventListener("click", reset);

beginTabs();
beginChat();
beginExchanges();
beginFaults();
beginPushes();
beginConnect();
setInterval(showTime, 1000);
onEvents(take);
listen(tell, say);
