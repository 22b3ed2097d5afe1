// Elements. Texts of others become text nodes alone: nothing here writes markup.

export const $ = (id) => document.getElementById(id);

/** Return a new element with attributes, listeners (on…) and children. */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "value" || name === "checked" || name === "selected") element[name] = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** Make the children of a list those of the items; an element whose look is the same stays, with its focus. */
export function keyed(list, items, { key, look, make, empty }) {
  const known = (list.rows ??= new Map());
  const seen = new Set();
  let cursor = list.firstElementChild;
  for (const item of items) {
    const name = key(item);
    const sight = look(item);
    let row = known.get(name);
    if (!row || row.sight !== sight) {
      const element = make(item);
      if (row) {
        if (cursor === row.element) cursor = element;
        row.element.replaceWith(element);
      }
      row = { element, sight };
      known.set(name, row);
    }
    if (row.element === cursor) cursor = cursor.nextElementSibling;
    else list.insertBefore(row.element, cursor);
    seen.add(name);
  }
  for (const [name, row] of known) {
    if (seen.has(name)) continue;
    row.element.remove();
    known.delete(name);
  }
  list.hint?.remove();
  list.hint = null;
  if (!items.length && empty) list.append((list.hint = h("li", { class: "empty" }, empty)));
}

/** Make the options of a select those given, and keep the choice if it is still there. */
export function options(select, entries) {
  const sight = JSON.stringify(entries);
  if (select.sight === sight) return;
  select.sight = sight;
  const chosen = new Set([...select.selectedOptions].map((option) => option.value));
  select.replaceChildren(
    ...entries.map(([value, text]) => h("option", { value, selected: chosen.has(String(value)) }, text)),
  );
}

/** Call a function once in the next frame, however often it is asked for. */
export function atFrame(work) {
  let asked = false;
  return () => {
    if (asked) return;
    asked = true;
    // A page in the background has no frames, and its lists go on.
    const run = () => {
      if (!asked) return;
      asked = false;
      work();
    };
    if (document.hidden) setTimeout(run, 200);
    else requestAnimationFrame(run);
  };
}

export const isAtEnd = (list) => list.scrollHeight - list.scrollTop - list.clientHeight < 40;
export const toEnd = (list) => { list.scrollTop = list.scrollHeight; };

/** Return an initial on a coloured disc. */
export function disc(id, name) {
  const element = h("span", { class: "disc", "aria-hidden": "true" }, [...name][0]?.toUpperCase() ?? "?");
  element.style.setProperty("--hue", String((id * 67 + 200) % 360));
  return element;
}

const two = (number) => String(number).padStart(2, "0");

/** Write the time of day of unix seconds, or of milliseconds; of another day with its date. */
export function timeOf(seconds, now = Date.now()) {
  const date = new Date(seconds > 1e11 ? seconds : seconds * 1000);
  const time = `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
  const isToday = date.toDateString() === new Date(now).toDateString();
  return isToday ? time : `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} ${time}`;
}

let hiding;
/** Show a sentence for a moment; screen readers read it. */
export function toast(text) {
  const element = $("toast");
  element.textContent = text;
  element.hidden = false;
  clearTimeout(hiding);
  hiding = setTimeout(() => { element.hidden = true; }, 6000);
}

let waiting = [];
/** Tell screen readers what has happened, at most every two seconds, and only the newest of a kind. */
export function announce(kind, text) {
  if (!waiting.length) {
    setTimeout(() => {
      $("announcements").textContent = waiting.map(([, words]) => words).join(" ");
      waiting = [];
    }, 2000);
  }
  waiting = [...waiting.filter(([name]) => name !== kind), [kind, text]];
}

export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    toast("Copied.");
  } catch {
    toast("The browser does not let this page copy.");
  }
}

/** Ask before something that cannot be undone. */
export function ask(title, text, yes) {
  const dialog = $("ask");
  $("ask-title").textContent = title;
  $("ask-text").textContent = text;
  $("ask-yes").textContent = yes;
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
  });
}
