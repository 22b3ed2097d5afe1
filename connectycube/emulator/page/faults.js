// Faults and switches: forms that are made of the emulator's own tables.

import { attempt, control } from "./control.js";
import { $, announce, h, keyed, options } from "./dom.js";
import { nameOf, paint, state } from "./state.js";

let forms = { faults: [], switches: [] };

const plain = (text) => text.replaceAll("`", "");

// --- values -----------------------------------------------------------------------------------------

/** Return the control for a value of a type in the tables. */
function fieldFor({ type, choices, default: value, required }, attributes) {
  if (type === "boolean" && value !== null) return h("input", { type: "checkbox", checked: value, ...attributes });
  if (type === "boolean") return h("select", attributes, h("option", { value: "" }, "not said"), h("option", { value: "true" }, "yes"), h("option", { value: "false" }, "no"));
  if (type === "choice") return h("select", attributes, choices.map((choice) => h("option", { value: choice, selected: choice === value }, choice)));
  const numeric = type === "number" || type === "whole number";
  const kind = numeric ? { type: "number", step: type === "number" ? "any" : "1", min: "0" } : { type: "text", autocomplete: "off" };
  return h("input", { ...kind, required, value: value ?? "", ...attributes });
}

/** Return what a control says, as JSON has it; undefined if it is empty. */
function valueOf(field, { type }) {
  if (field.type === "checkbox") return field.checked;
  if (field.value === "") return undefined;
  if (type === "boolean") return field.value === "true";
  if (type === "number" || type === "whole number") return Number(field.value);
  if (type === "texts") return field.value.split(",").map((text) => text.trim());
  return field.value;
}

// --- faults -----------------------------------------------------------------------------------------

const kindNamed = (name) => forms.faults.find((kind) => kind.name === name);

function paintParameters() {
  const kind = kindNamed($("fault-form").elements.name.value);
  if (!kind) return;
  $("fault-meaning").textContent = plain(kind.meaning);
  $("fault-once").textContent = `How many times (${kind.once})`;
  $("fault-parameters").replaceChildren(
    ...kind.parameters.map((parameter) => {
      const title = `${parameter.name}: ${plain(parameter.meaning)}`;
      const field = fieldFor(parameter, { name: `parameter-${parameter.name}` });
      return field.type === "checkbox" ? h("label", { class: "check" }, field, title) : h("label", {}, title, field);
    }),
  );
  options($("fault-form").elements.on, [["", kind.sides.join(", ")], ...(kind.sides.length > 1 ? kind.sides.map((side) => [side, side]) : [])]);
}

async function startFault(event) {
  event.preventDefault();
  const { elements } = event.target;
  const kind = kindNamed(elements.name.value);
  const body = { name: kind.name };
  for (const parameter of kind.parameters) {
    const value = valueOf(elements[`parameter-${parameter.name}`], parameter);
    if (value !== undefined) body[parameter.name] = value;
  }
  if (elements.user.value) body.user = Number(elements.user.value);
  if (elements.on.value) body.on = elements.on.value;
  if (elements.connection.value.trim()) body.connection = elements.connection.value.trim();
  if (elements.times.value) body.times = Number(elements.times.value);
  await attempt(() => control("POST", "faults", body));
}

function paintFaults() {
  const count = state.faults.length;
  $("count-faults").hidden = !count;
  $("count-faults").textContent = String(count);
  $("end-faults").hidden = !count;
  keyed($("faults"), state.faults, {
    key: (fault) => fault.id,
    look: (fault) => JSON.stringify([fault, typeof fault.user === "number" ? nameOf(fault.user) : ""]),
    make: faultRow,
    empty: "None. What goes wrong in the field goes wrong here on demand.",
  });
  options($("fault-form").elements.user, [["", "all users"], ...[...state.users.keys()].slice(0, 500).map((id) => [id, nameOf(id)])]);
}

function faultRow(fault) {
  const { id, name, user, connection, on, times, used, ...parameters } = fault;
  const given = Object.entries(parameters).filter(([, value]) => value !== null).map(([key, value]) => `${key} ${value}`);
  const who = user === null ? "all users" : typeof user === "number" ? nameOf(user) : user;
  const limits = [who, connection && `connection ${connection}`, on.join(", ")].filter(Boolean);
  const end = () => attempt(() => control("DELETE", `faults/${id}`));
  return h("li", { class: "fault", "data-fault": name },
    h("div", { class: "grow" },
      h("p", {}, h("span", { class: "name" }, name), " ", given.map((text) => h("span", { class: "tag" }, text))),
      h("p", { class: "muted" }, limits.join(" · "))),
    h("span", { class: "tag bad" }, times === null ? `${used} times` : `${used} of ${times}`),
    h("button", { type: "button", class: "small", onclick: end, "aria-label": `End ${name}` }, "End"));
}

/** Take the faults that are on. */
export function tellFaults(before) {
  if (state.faults.length > before) announce("faults", `${state.faults.at(-1).name} is on.`);
  if (state.faults.length < before) announce("faults", "A fault has ended.");
}

// --- switches ---------------------------------------------------------------------------------------

function makeSwitches() {
  $("switches").replaceChildren(
    ...forms.switches.map((entry) => {
      const id = `switch-${entry.name}`;
      const field = fieldFor(entry, { id, name: entry.name, "aria-describedby": `${id}-meaning` });
      field.addEventListener("change", () => setSwitch(entry, field));
      return h("div", { class: "switch", "data-switch": entry.name },
        h("label", { for: id }, entry.name.replaceAll("_", " ")), field,
        h("p", { class: "meaning", id: `${id}-meaning` }, plain(entry.meaning)));
    }),
  );
  paintSwitches();
}

async function setSwitch(entry, field) {
  const value = valueOf(field, entry) ?? null;
  await attempt(() => control("PUT", "switches", { [entry.name]: value }));
  state.switches = (await attempt(() => control("GET", "switches"))) ?? state.switches;
  paintSwitches();
}

const shownOf = (value) => (value === null || value === undefined ? "" : Array.isArray(value) ? value.join(",") : String(value));

function paintSwitches() {
  let count = 0;
  for (const entry of forms.switches) {
    const field = $(`switch-${entry.name}`);
    const value = state.switches[entry.name];
    if (!field || value === undefined) continue;
    if (field.type === "checkbox") field.checked = value;
    else if (document.activeElement !== field || !document.hasFocus()) field.value = shownOf(value);
    const isChanged = shownOf(value) !== shownOf(entry.default);
    count += isChanged ? 1 : 0;
    field.closest(".switch").classList.toggle("changed", isChanged);
  }
  $("count-switches").hidden = !count;
  $("count-switches").textContent = String(count);
}

function findSwitches() {
  const wanted = $("find-switch").value.trim().toLowerCase();
  for (const entry of forms.switches) {
    const text = `${entry.name} ${entry.name.replaceAll("_", " ")} ${entry.meaning}`.toLowerCase();
    $(`switch-${entry.name}`).closest(".switch").hidden = !text.includes(wanted);
  }
}

/** Read the tables, once for each emulator. */
export async function readForms() {
  forms = await control("GET", "forms");
  options($("fault-form").elements.name, forms.faults.map((kind) => [kind.name, kind.name.replaceAll("_", " ")]));
  paintParameters();
  makeSwitches();
}

/** Begin. */
export function beginFaults() {
  $("fault-form").elements.name.addEventListener("change", paintParameters);
  $("fault-form").addEventListener("submit", startFault);
  $("end-faults").addEventListener("click", () => attempt(() => control("DELETE", "faults")));
  $("switches").addEventListener("submit", (event) => event.preventDefault());
  $("find-switch").addEventListener("input", findSwitches);
  paint(["faults", "users"], paintFaults);
  paint(["switches"], paintSwitches);
}
