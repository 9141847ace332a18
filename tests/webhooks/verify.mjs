// Verifies what came in with the npm package of Standard Webhooks: [{secret, headers, body}] in, what it made of each out.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const require = createRequire(new URL("../fhir/package.json", import.meta.url));
const { Webhook } = require("standardwebhooks");

const results = JSON.parse(readFileSync(0, "utf8")).map(({ secret, headers, body }) => {
  try {
    return { payload: new Webhook(secret).verify(body, headers) };
  } catch (error) {
    return { refused: error.name };
  }
});
console.log(JSON.stringify(results));
