// An OPC UA server with variables that a test sets through stdin, one JSON object a line:
// {"name": "power", "value": 1.5, "status": "Good", "time": "2024-01-01T00:00:00Z"}; each is answered on stdout.
// {"mute": true} stops all subscriptions' timers, as a stuck server does: reads go on, no notification ever comes.
// "levels" is an array, "flow/1" has an engineering unit and a range.
// "ramp" counts up every 100 ms by itself. Arguments: port, folder of the server's keys.
"use strict";
const readline = require("readline");
const { DataType, OPCUACertificateManager, OPCUAServer, StatusCodes, Variant, VariantArrayType, standardUnits } = require("node-opcua");

const TYPES = {
  power: DataType.Double, energy: DataType.UInt32, count: DataType.Int64, running: DataType.Boolean,
  label: DataType.String, ramp: DataType.UInt32, single: DataType.Float,
};

function mute(server) {
  for (const session of Object.values(server.engine._sessions)) {
    for (const subscription of Object.values(session.publishEngine._subscriptions)) {
      clearInterval(subscription.timerId);
    }
  }
}

async function main(port, keys) {
  const users = { isValidUser: (user, password) => user === "reader" && password === "meter" };
  const server = new OPCUAServer({
    port,
    hostname: "127.0.0.1",
    userManager: users,
    allowAnonymous: true,
    serverCertificateManager: new OPCUACertificateManager({ rootFolder: keys, automaticallyAcceptUnknownCertificate: true }),
    userCertificateManager: new OPCUACertificateManager({ rootFolder: `${keys}-users`, automaticallyAcceptUnknownCertificate: true }),
    serverCapabilities: { maxSessions: 20 },
  });
  await server.initialize();
  const space = server.engine.addressSpace;
  const namespace = space.getOwnNamespace();
  const folder = namespace.addFolder(space.rootFolder.objects, { browseName: "Plant" });
  const variables = {};
  for (const [name, dataType] of Object.entries(TYPES)) {
    variables[name] = namespace.addVariable({
      componentOf: folder, browseName: name, nodeId: `s=${name}`, dataType, minimumSamplingInterval: 10,
    });
  }
  namespace.addVariable({
    componentOf: folder, browseName: "levels", nodeId: "s=levels", dataType: DataType.Double, valueRank: 1,
    value: { dataType: DataType.Double, arrayType: VariantArrayType.Array, value: [1.5, 2.5, 3.5] },
  });
  namespace.addAnalogDataItem({
    componentOf: folder, browseName: "flow/1", nodeId: "s=flow", dataType: DataType.Double,
    engineeringUnitsRange: { low: 0, high: 400 }, engineeringUnits: standardUnits.cubic_metre_per_hour,
    value: { dataType: DataType.Double, value: 120.5 },
  });
  const set = ({ name, value, status, time }) => {
    const dataType = TYPES[name];
    const typed = dataType === DataType.Int64 ? [Math.floor(value / 2 ** 32), value >>> 0] : value;
    variables[name].setValueFromSource(
      new Variant({ dataType, arrayType: VariantArrayType.Scalar, value: typed }), StatusCodes[status || "Good"], time ? new Date(time) : new Date());
  };
  const start = { power: 0.5, energy: 7, count: 2 ** 40, running: false, label: "press", ramp: 0, single: 2.5 };
  for (const [name, value] of Object.entries(start)) set({ name, value });
  let ramp = 0;
  setInterval(() => set({ name: "ramp", value: (ramp += 1) }), 100);
  readline.createInterface({ input: process.stdin }).on("line", (line) => {
    const order = JSON.parse(line);
    if (order.mute) mute(server);
    else set(order);
    process.stdout.write("done\n");
  });
  await server.start();
  process.stdout.write("ready\n");
}

process.on("SIGTERM", () => process.exit(0));
main(Number(process.argv[2]), process.argv[3]).catch((error) => {
  console.error(error);
  process.exit(1);
});
