// A Sparkplug B edge node made with sparkplug-client, led by a test through stdin, one JSON object a line:
// {"births": {"": payload, "press": payload}} what it says at each birth, "" being the node itself; answered "done".
// {"call": "publishDeviceData", "args": ["press", payload]} any method of the client; answered "done".
// It tells "born" when the broker has its births, and "command <name>" for each metric of an NCMD. Arguments: URL, group, node, bdSeq.
"use strict";
const readline = require("readline");
const sparkplug = require("sparkplug-client");

const [url, groupId, edgeNode, bdSeq] = process.argv.slice(2);
let births = { "": { metrics: [] } };
const say = (text) => process.stdout.write(`${text}\n`);
const copy = (payload) => ({ ...JSON.parse(JSON.stringify(payload)) });

// The client counts its births by 0 alone; the number of this start has to stand before it writes its will.
Object.defineProperty(require("events").prototype, "bdSeq", { get: () => Number(bdSeq), set: () => {} });
const client = sparkplug.newClient({
  serverUrl: url, username: "", password: "", groupId, edgeNode, clientId: `edge-${edgeNode}`, keepalive: 5,
  version: "spBv1.0", mqttOptions: { reconnectPeriod: 200 },
});

function bear() {
  for (const [device, payload] of Object.entries(births)) {
    const options = payload.compress ? { compress: true, algorithm: payload.compress } : undefined;
    if (device === "") client.publishNodeBirth(copy(payload), options);
    else client.publishDeviceBirth(device, copy(payload), options);
  }
  // The broker takes messages in order: when it has this one, it has the births.
  client.client.publish(`births/${edgeNode}`, "", { qos: 1 }, () => say("born"));
}

client.on("birth", bear);
client.on("ncmd", (payload) => {
  for (const metric of payload.metrics) say(`command ${metric.name} ${metric.value}`);
  if (payload.metrics.some((metric) => metric.name === "Node Control/Rebirth" && metric.value)) bear();
});
client.on("error", (error) => say(`error ${error}`));
readline.createInterface({ input: process.stdin }).on("line", (line) => {
  const order = JSON.parse(line);
  if (order.births) births = order.births;
  else client[order.call](...order.args);
  say("done");
});
