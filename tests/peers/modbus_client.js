// A Modbus TCP client: `modbus_client.js modbus-serial|jsmodbus PORT`. One order a line on stdin,
// {"call": "readHoldingRegisters", "args": [3, 2], "as": "FloatBE"}, goes to unit 1 and is answered by one line on
// stdout: {"values": [...]} (registers or bits), {"value": ...} where `as` names a reading of Buffer, or
// {"exception": 2}. Calls are named as modbus-serial names them.
"use strict";
const net = require("net");
const readline = require("readline");
const [name, port] = process.argv.slice(2);

// What the two call alike but spell otherwise.
const SPELT = {
  writeCoil: "writeSingleCoil", writeRegister: "writeSingleRegister",
  writeCoils: "writeMultipleCoils", writeRegisters: "writeMultipleRegisters",
};

async function modbusSerial() {
  const ModbusRTU = require("modbus-serial");
  const client = new ModbusRTU();
  await client.connectTCP("127.0.0.1", { port: Number(port) });
  client.setTimeout(60000);
  client.setID(1);
  return async ({ call, args }) => {
    const answer = await client[call](...args);
    return { values: answer.data, buffer: answer.buffer };
  };
}

async function jsModbus() {
  const { client } = require("jsmodbus");
  const socket = new net.Socket();
  const one = new client.TCP(socket, 1, 60000); // before the socket connects, or it does not know that it has
  await new Promise((resolve, reject) => {
    socket.once("connect", resolve);
    socket.once("error", reject);
    socket.connect({ host: "127.0.0.1", port: Number(port) });
  });
  return async ({ call, args }) => {
    const { response } = await one[SPELT[call] ?? call](...args);
    return { values: response.body.valuesAsArray && [...response.body.valuesAsArray], buffer: response.body.valuesAsBuffer };
  };
}

const exceptionOf = (error) => error.modbusCode ?? error.response?.body?.code;

async function main() {
  const ask = await (name === "jsmodbus" ? jsModbus() : modbusSerial());
  process.stdout.write("ready\n");
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const order = JSON.parse(line);
    let told;
    try {
      const { values, buffer } = await ask(order);
      told = order.as ? { value: String(buffer[`read${order.as}`](0)) } : { values };
    } catch (error) {
      const exception = exceptionOf(error);
      told = exception === undefined ? { error: String(error.message ?? error) } : { exception };
    }
    process.stdout.write(`${JSON.stringify(told)}\n`);
  }
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
