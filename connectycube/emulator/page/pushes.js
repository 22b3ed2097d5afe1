// Push notifications and mails that the service would have sent.

import { $, h, keyed, timeOf } from "./dom.js";
import { nameOf, now, paint, state } from "./state.js";

const MOST_SHOWN = 200;

function pushRow(push) {
  const payload = typeof push.payload === "string" ? push.payload : JSON.stringify(push.payload, null, 2);
  return h("li", {},
    h("p", {}, h("strong", {}, nameOf(push.user_id)), " ", h("span", { class: "tag" }, push.platform), " ", h("span", { class: "tag" }, push.channel), " ", h("span", { class: "tag" }, push.environment)),
    h("p", { class: "muted" }, `${timeOf(push.sent_at, now())} · for ${push.cause === "event" ? "an event" : "a message"} · device ${push.udid}`),
    h("pre", { tabindex: "0" }, payload ?? ""));
}

/** Begin. */
export function beginPushes() {
  paint(["users", "pushes"], () => {
    const count = state.pushes.length + state.mails.length;
    $("count-pushes").hidden = !count;
    $("count-pushes").textContent = String(count);
    const numbered = state.pushes.map((push, index) => [index, push]).slice(-MOST_SHOWN).reverse();
    keyed($("pushes"), numbered, {
      key: ([index]) => index,
      look: ([, push]) => JSON.stringify([push, nameOf(push.user_id)]),
      make: ([, push]) => pushRow(push),
      empty: "None yet. A push needs a user with a device, and a message or an event.",
    });
    keyed($("mails"), state.mails.map((mail, index) => [index, mail]).slice(-MOST_SHOWN).reverse(), {
      key: ([index]) => index,
      look: ([, mail]) => mail,
      make: ([, mail]) => h("li", {}, mail),
      empty: "None yet.",
    });
  });
}
