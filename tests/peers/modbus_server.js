// A Modbus TCP server of modbus-serial. The first line of stdin tells what it holds, by unit and table:
// {"1": {"holding": {"40": 7}, "input": {}, "coil": {}, "discrete": {}}}; what is not there answers exception 2, a unit
// that is not there exception 11. Its port is the first line of stdout; it ends when stdin closes.
"use strict";
const readline = require("readline");
const { ServerTCP } = require("modbus-serial");

const refuse = (code) => {
  throw Object.assign(new Error(`exception ${code}`), { modbusErrorCode: code });
};

function serve(units) {
  const value = (table) => (address, unit) => units[unit]?.[table]?.[address] ?? refuse(units[unit] ? 2 : 11);
  const vector = {
    getHoldingRegister: value("holding"),
    getInputRegister: value("input"),
    getCoil: (address, unit) => Boolean(value("coil")(address, unit)),
    getDiscreteInput: (address, unit) => Boolean(value("discrete")(address, unit)),
  };
  // "0" as text: the package takes the number 0 for no port given, and listens on 502.
  const server = new ServerTCP(vector, { host: "127.0.0.1", port: "0", unitID: 255 });
  server.on("initialized", () => process.stdout.write(`${server._server.address().port}\n`));
  server.on("serverError", (error) => {
    console.error(error);
    process.exit(1);
  });
}

const input = readline.createInterface({ input: process.stdin });
input.once("line", (line) => serve(JSON.parse(line)));
input.on("close", () => process.exit(0));
