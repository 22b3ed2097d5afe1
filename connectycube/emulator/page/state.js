// What the emulator has, as far as the page knows: users, dialogs and sessions, and who wants to hear of changes.

import { atFrame } from "./dom.js";

export const state = {
  users: new Map(),
  dialogs: new Map(),
  sessions: [],
  faults: [],
  switches: {},
  pushes: [],
  mails: [],
  offset: 0, // milliseconds of the emulator's clock ahead of this machine's
};

export const now = () => Date.now() + state.offset;

export function nameOf(id) {
  const user = state.users.get(id);
  return user ? user.full_name || user.login || user.email || `user ${id}` : `user ${id}`;
}

export const titleOf = (dialog) =>
  dialog.type === 3 ? dialog.occupants_ids.map(nameOf).join(", ") : dialog.name ?? dialog._id;

export const KINDS = { 1: "broadcast", 2: "group", 3: "private", 4: "public", 5: "meeting" };

const painters = new Map();

/** Call a painter in the frame after a change of one of these. */
export function paint(names, work) {
  const later = atFrame(work);
  for (const name of names) painters.set(name, [...(painters.get(name) ?? []), later]);
  later();
}

/** Say that something has changed. */
export function changed(...names) {
  for (const name of names) for (const later of painters.get(name) ?? []) later();
}

/** Put changed things into a map, and take deleted ones out. */
export function merge(map, key, { changed: items, deleted }) {
  for (const item of items) map.set(item[key], item);
  for (const id of deleted) map.delete(id);
}
