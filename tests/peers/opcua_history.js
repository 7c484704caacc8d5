// An OPC UA server that keeps a history in memory. Its variables `v0` … count up by one every `step_ms`, each value with
// the time it is due, also those that became due while the process stood still. Argument 3 is JSON: items (how many
// variables), plain (how many of them keep no history, the last ones), step_ms, keep (values a history holds), limits
// (OperationLimits), most (operations in one request that are really taken, whatever the limits say).
// `begun` [ms since 1970]: since when values became due (default: now), so that a server started again goes on counting;
// `others`: how many namespaces, each with variables of the same names and a value that is none of theirs, come before
// that of the variables, which is then `urn:proof:line`;
// `certificate`, `key`: files of its own certificate, for the ApplicationUri `uri`.
// On stdin {"order": "points"} is answered with the number of continuation points that are held; "forget" drops all
// subscriptions, "expire" ends all sessions as after their timeout, both answered with "done".
"use strict";
const readline = require("readline");
const { DataType, OPCUACertificateManager, OPCUAServer, StatusCodes, Variant } = require("node-opcua");

async function main(port, keys, given) {
  const { items = 1, plain = 0, step_ms = 50, keep = 100000, limits = {}, most = 0, begun, others, certificate, key, uri } = given;
  const server = new OPCUAServer({
    port,
    hostname: "127.0.0.1",
    allowAnonymous: true,
    ...(certificate && { certificateFile: certificate, privateKeyFile: key, serverInfo: { applicationUri: uri } }),
    serverCertificateManager: new OPCUACertificateManager({ rootFolder: keys, automaticallyAcceptUnknownCertificate: true }),
    serverCapabilities: { minSupportedSampleRate: 0, maxSessions: 20, maxMonitoredItems: 100000, maxMonitoredItemsPerSubscription: 100000, operationLimits: limits },
  });
  await server.initialize();
  const space = server.engine.addressSpace;
  for (let n = 0; n < (others || 0); n++) {
    const other = space.registerNamespace(`urn:proof:other-${n}`);
    for (let i = 0; i < items; i++) {
      other.addVariable({ organizedBy: space.rootFolder.objects, browseName: `v${i}`, nodeId: `s=v${i}`, dataType: DataType.Double,
        value: { dataType: DataType.Double, value: 1e9 } });
    }
  }
  const namespace = others === undefined ? space.getOwnNamespace() : space.registerNamespace("urn:proof:line");
  const folder = space.getOwnNamespace().addFolder(space.rootFolder.objects, { browseName: "Line" });
  const variables = [];
  const before = begun ? new Date(begun - step_ms) : new Date();
  for (let i = 0; i < items; i++) {
    const variable = namespace.addVariable({
      componentOf: folder, browseName: `v${i}`, nodeId: `s=v${i}`, dataType: DataType.Double, minimumSamplingInterval: 0,
    });
    variable.setValueFromSource(new Variant({ dataType: DataType.Double, value: -1 }), StatusCodes.Good, before);
    if (i < items - plain) space.installHistoricalDataNode(variable, { maxOnlineValues: keep });
    variables.push(variable);
  }
  const start = begun || Date.now();
  let due = 0;
  const fill = () => {
    for (; start + due * step_ms <= Date.now(); due++) {
      const value = new Variant({ dataType: DataType.Double, value: due });
      for (const variable of variables) variable.setValueFromSource(value, StatusCodes.Good, new Date(start + due * step_ms));
    }
  };
  fill();
  setInterval(fill, step_ms);
  if (most) {
    for (const name of ["HistoryRead", "CreateMonitoredItems", "Read", "Browse"]) refuseLong(server, `_on_${name}Request`, most);
  }
  readline.createInterface({ input: process.stdin }).on("line", (line) => {
    const { order } = JSON.parse(line);
    const sessions = Object.values(server.engine._sessions);
    if (order === "expire") sessions.forEach((s) => server.engine.closeSession(s.authenticationToken, true, "Timeout"));
    else if (order === "forget") sessions.forEach((s) => s.publishEngine.subscriptions.forEach((of) => s.deleteSubscription(of.id)));
    const held = sessions.reduce((sum, s) => sum + (s.continuationPointManager?._map?.size || 0), 0);
    process.stdout.write(order === "points" ? `held ${held}\n` : "done\n");
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
