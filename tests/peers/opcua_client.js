// A client written by others against a simulated server: connects with a policy and mode, reads one node, prints it.
// Arguments: url, policy, mode, node id, folder of its keys, user, password. One JSON line on stdout.
"use strict";
const {
  AttributeIds, MessageSecurityMode, OPCUACertificateManager, OPCUAClient, SecurityPolicy, UserTokenType,
} = require("node-opcua");

async function main([url, policy, mode, nodeId, keys, user, password]) {
  const client = OPCUAClient.create({
    securityPolicy: SecurityPolicy[policy],
    securityMode: MessageSecurityMode[mode],
    endpointMustExist: false,
    connectionStrategy: { maxRetry: 0 },
    clientCertificateManager: new OPCUACertificateManager({ rootFolder: keys, automaticallyAcceptUnknownCertificate: true }),
  });
  await client.connect(url);
  const identity = user ? { type: UserTokenType.UserName, userName: user, password } : undefined;
  const session = await client.createSession(identity);
  const data = await session.read({ nodeId, attributeId: AttributeIds.Value });
  await session.close();
  await client.disconnect();
  process.stdout.write(`${JSON.stringify({ value: data.value.value, status: data.statusCode.name })}\n`);
}

main(process.argv.slice(2)).then(() => process.exit(0), (error) => {
  process.stderr.write(`${error.message}\n`);
  process.exit(1);
});
