// How programs find this emulator: lines for a shell, for the JavaScript SDK, for other languages.

import { control } from "./control.js";
import { $, copy } from "./dom.js";

const SECRET = /(TOKEN|SECRET|AUTH_KEY|UI_URL)=(.*)/;
const HIDDEN = "••••••••";

let texts = { exports: "", javascript: "", control: "" };

const valueIn = (lines, name) =>
  lines.find((line) => line.startsWith(`export ${name}=`))?.split("=").slice(1).join("=").replace(/^'(.*)'$/, "$1") ?? "";

/** Read the lines, once for each emulator. */
export async function readConnect() {
  const lines = await control("GET", "exports");
  const read = (name) => valueIn(lines, `CONNECTYCUBE_${name}`);
  const javascript = (key) => [
    `ConnectyCube.init(`,
    `  { appId: ${read("APP_ID")}, authKey: "${key}" },`,
    `  {`,
    `    endpoints: {`,
    `      api_url: "${read("API_URL")}",`,
    `      chat: "${read("CHAT_HOST")}",`,
    `      chat_url: "${read("WEBSOCKET_URL")}",`,
    `    },`,
    `  },`,
    `);`,
  ].join("\n");
  const other = (token) => [
    `curl --header "Authorization: Bearer ${token}" \\`,
    `  ${read("CONTROL_URL")}/users`,
    "",
    `curl --no-buffer --header "Authorization: Bearer ${token}" \\`,
    `  "${read("CONTROL_URL")}/events?exchanges=yes"`,
  ].join("\n");
  texts = { exports: lines.join("\n"), javascript: javascript(read("AUTH_KEY")), control: other(read("CONTROL_TOKEN")) };
  $("exports").textContent = lines.map((line) => line.replace(SECRET, (_, name) => `${name}=${HIDDEN}`)).join("\n");
  $("javascript").textContent = javascript(HIDDEN);
  $("control").textContent = other(HIDDEN);
}

/** Begin. */
export function beginConnect() {
  for (const name of Object.keys(texts)) $(`copy-${name}`).addEventListener("click", () => copy(texts[name]));
}
