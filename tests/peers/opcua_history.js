// An OPC UA server that keeps a history in memory. Its variables `v0` … count up by one every `step_ms`, each value with
// the time it is due, also those that became due while the process stood still. Argument 3 is JSON: items (how many
// variables), plain (how many of them keep no history, the last ones), step_ms, keep (values a history holds), limits
// (OperationLimits), most (operations in one request that are really taken, whatever the limits say).
// {"order": "points"} on stdin is answered with the number of continuation points that are held.
"use strict";
const readline = require("readline");
const { DataType, OPCUACertificateManager, OPCUAServer, StatusCodes, Variant } = require("node-opcua");

async function main(port, keys, given) {
  const { items = 1, plain = 0, step_ms = 50, keep = 100000, limits = {}, most = 0 } = given;
  const server = new OPCUAServer({
    port,
    hostname: "127.0.0.1",
    allowAnonymous: true,
    serverCertificateManager: new OPCUACertificateManager({ rootFolder: keys, automaticallyAcceptUnknownCertificate: true }),
    serverCapabilities: { minSupportedSampleRate: 0, maxSessions: 20, maxMonitoredItems: 100000, maxMonitoredItemsPerSubscription: 100000, operationLimits: limits },
  });
  await server.initialize();
  const space = server.engine.addressSpace;
  const namespace = space.getOwnNamespace();
  const folder = namespace.addFolder(space.rootFolder.objects, { browseName: "Line" });
  const variables = [];
  for (let i = 0; i < items; i++) {
    const variable = namespace.addVariable({
      componentOf: folder, browseName: `v${i}`, nodeId: `s=v${i}`, dataType: DataType.Double, minimumSamplingInterval: 0,
    });
    variable.setValueFromSource(new Variant({ dataType: DataType.Double, value: -1 }), StatusCodes.Good, new Date());
    if (i < items - plain) space.installHistoricalDataNode(variable, { maxOnlineValues: keep });
    variables.push(variable);
  }
  const start = Date.now();
  let due = 0;
  setInterval(() => {
    for (; start + due * step_ms <= Date.now(); due++) {
      const value = new Variant({ dataType: DataType.Double, value: due });
      for (const variable of variables) variable.setValueFromSource(value, StatusCodes.Good, new Date(start + due * step_ms));
    }
  }, step_ms);
  if (most) {
    for (const name of ["HistoryRead", "CreateMonitoredItems", "Read", "Browse"]) refuseLong(server, `_on_${name}Request`, most);
  }
  readline.createInterface({ input: process.stdin }).on("line", () => {
    let held = 0;
    for (const session of Object.values(server.engine._sessions)) held += session.continuationPointManager?._map?.size || 0;
    process.stdout.write(`held ${held}\n`);
  });
  await server.start();
  process.stdout.write("ready\n");
}

// A server that lies about its limits: it answers more than `most` operations with BadTooManyOperations.
function refuseLong(server, name, most) {
  const { ServiceFault } = require("node-opcua-types");
  const original = server[name];
  server[name] = function (message, channel) {
    const request = message.request;
    const many = (request.nodesToRead || request.itemsToCreate || request.nodesToBrowse || []).length;
    if (many <= most) return original.call(this, message, channel);
    const fault = new ServiceFault({ responseHeader: { serviceResult: StatusCodes.BadTooManyOperations } });
    return channel.send_response("MSG", fault, message, () => {});
  };
}

process.on("SIGTERM", () => process.exit(0));
main(Number(process.argv[2]), process.argv[3], JSON.parse(process.argv[4] || "{}")).catch((error) => {
  console.error(error);
  process.exit(1);
});
