// The official JavaScript SDK, driven over standard input and output, one JSON object a line.
//
//   node peer.mjs FOLDER [BUILD]  FOLDER holds node_modules/connectycube; BUILD is "umd", which browsers load
//
//   in:   {"id": 1, "call": "chat.dialog.list", "args": [{}]}    a path into the SDK's object
//   out:  {"id": 1, "result": …}  or  {"id": 1, "error": {"message", "code", "info"}}
//   out:  {"event": "onMessageListener", "args": […]}            whenever a listener is called
//
// The call "init" also sets the listeners; "surface" is answered with every function of the SDK's object; "run"
// runs a text that initialises ConnectyCube, with further names that it is given.
// {"$base64": "…"} in arguments stands for a Buffer, {"$listener": "name"} for a function whose calls are
// events of that name. The process ends when its input ends.

import http from "node:http";
import https from "node:https";
import { createRequire } from "node:module";
import path from "node:path";
import readline from "node:readline";

console.log = console.info = console.debug = console.error; // standard output is ours
// No idle connection outlives a test.
http.globalAgent = new http.Agent({ keepAlive: false });
https.globalAgent = new https.Agent({ keepAlive: false });

const require = createRequire(path.join(path.resolve(process.argv[2]), "peer.cjs"));
const [build] = process.argv.slice(3);
if (build) {
  globalThis.window = globalThis;
  globalThis.WebSocket = require("ws"); // which Node.js has by itself since version 22
}
const module = require(build ? `connectycube/${build}` : "connectycube");
const sdk = module.default ?? module;
const { version } = require("connectycube/package.json");

const LISTENERS = [
  "onChatStatusListener",
  "onConfirmSubscribeListener",
  "onConnectionErrorListener",
  "onContactListListener",
  "onDeliveredStatusListener",
  "onDisconnectedListener",
  "onJoinOccupant",
  "onKickOccupant",
  "onLastUserActivityListener",
  "onLeaveOccupant",
  "onMessageDeleteListener",
  "onMessageErrorListener",
  "onMessageListener",
  "onMessageReactionsListener",
  "onMessageTypingListener",
  "onMessageUpdateListener",
  "onReadStatusListener",
  "onReconnectListener",
  "onRejectSubscribeListener",
  "onSentMessageCallback",
  "onSubscribeListener",
  "onSystemMessageListener",
];

function write(record) {
  process.stdout.write(JSON.stringify(record, forJson) + "\n");
}

function forJson(key, value) {
  if (value instanceof Error) return describe(value);
  return value === undefined || typeof value === "function" ? null : value;
}

function describe(error) {
  if (typeof error !== "object" || error === null) return { message: String(error) };
  const { code = null, info = null, condition = null } = error;
  return { message: error.message ?? String(condition ?? JSON.stringify(error)), code, info };
}

function fromJson(key, value) {
  const { $base64: encoded, $listener: name } = value ?? {};
  if (typeof encoded === "string") return Buffer.from(encoded, "base64");
  return typeof name === "string" ? (...args) => write({ event: name, args }) : value;
}

function init(credentials, options) {
  sdk.init(credentials, options);
  listen();
}

function listen() {
  for (const name of LISTENERS) {
    sdk.chat[name] = (...args) => write({ event: name, args });
  }
}

// Every function that the SDK's object has, by reflection: [[path, other path of the same function, …], …].
function surface() {
  const names = new Map();
  const seen = new Set([sdk]);
  for (const waiting = [["", sdk]]; waiting.length > 0; ) {
    const [prefix, object] = waiting.shift();
    for (const name of propertiesOf(object)) {
      const value = object[name];
      const path = prefix + name;
      const isClass = typeof value === "function" && /^class\b/.test(Function.prototype.toString.call(value));
      if (typeof value === "function" && !isClass) {
        names.set(value, [...(names.get(value) ?? []), path]);
      } else if ((isClass || isInstance(value)) && name !== "xmppClient" && !seen.has(value)) {
        seen.add(value); // the XMPP client is another project's
        waiting.push([`${path}.`, value]);
      }
    }
  }
  return [...names.values()];
}

function propertiesOf(object) {
  const names = new Set();
  const isBuiltIn = (owner) => owner === Object.prototype || owner === Function.prototype;
  for (let owner = object; owner && !isBuiltIn(owner); owner = Object.getPrototypeOf(owner)) {
    Object.getOwnPropertyNames(owner).forEach((name) => names.add(name));
  }
  ["constructor", "prototype"].forEach((name) => names.delete(name));
  return names;
}

function isInstance(value) {
  if (typeof value !== "object" || value === null) return false;
  return ![Object.prototype, Array.prototype, Map.prototype, Set.prototype].includes(Object.getPrototypeOf(value));
}

function run(code, names) {
  const known = { ConnectyCube: sdk, ...names };
  new Function(...Object.keys(known), code)(...Object.values(known));
  listen(); // each initialisation makes a new chat
}

async function perform(call, args) {
  if (call === "init") return init(...args);
  if (call === "surface") return surface();
  if (call === "run") return run(...args);
  const names = call.split(".");
  const method = names.pop();
  const owner = names.reduce((object, name) => object?.[name], sdk);
  if (owner?.[method] === undefined) throw new Error(`the SDK has no ${call}`);
  return typeof owner[method] === "function" ? owner[method](...args) : owner[method];
}

process.on("unhandledRejection", (error) => write({ event: "unhandledRejection", args: [describe(error)] }));

const lines = readline.createInterface({ input: process.stdin });
lines.on("line", async (line) => {
  const { id, call, args } = JSON.parse(line, fromJson);
  try {
    write({ id, result: (await perform(call, args)) ?? null });
  } catch (error) {
    write({ id, error: describe(error) });
  }
});
lines.on("close", () => process.exit(0));
write({ event: "started", args: [version] });
