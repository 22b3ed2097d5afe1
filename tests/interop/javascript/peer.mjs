// The official JavaScript SDK, driven over standard input and output, one JSON object a line.
//
//   node peer.mjs FOLDER          FOLDER holds node_modules/connectycube
//
//   in:   {"id": 1, "call": "chat.dialog.list", "args": [{}]}    a path into the SDK's object
//   out:  {"id": 1, "result": …}  or  {"id": 1, "error": {"message", "code", "info"}}
//   out:  {"event": "onMessageListener", "args": […]}            whenever a listener is called
//
// The call "init" also sets the listeners. {"$base64": "…"} in arguments stands for a Buffer. The process
// ends when its input ends.

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
const module = require("connectycube");
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
  return value === undefined ? null : value;
}

function describe(error) {
  if (typeof error !== "object" || error === null) return { message: String(error) };
  const { code = null, info = null, condition = null } = error;
  return { message: error.message ?? String(condition ?? JSON.stringify(error)), code, info };
}

function fromJson(key, value) {
  const encoded = value?.$base64;
  return typeof encoded === "string" ? Buffer.from(encoded, "base64") : value;
}

function init(credentials, options) {
  sdk.init(credentials, options);
  for (const name of LISTENERS) {
    sdk.chat[name] = (...args) => write({ event: name, args });
  }
}

async function perform(call, args) {
  if (call === "init") return init(...args);
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
