// A real OpenID provider (oidc-provider), on this machine. Usage: node provider.mjs <port> <redirect uri> <signed out uri>.
// Whoever signs in types who they are as subject|role|organisation; there is no password and no consent to give.
// Clients: "public" without a secret, "confidential" with one. Says "ready" on standard output once it listens.
import http from 'node:http';
import { generateKeyPairSync } from 'node:crypto';
import { Provider } from 'oidc-provider';

const [port, redirectUri, signedOutUri] = process.argv.slice(2);
const issuer = `http://127.0.0.1:${port}`;
const key = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' });
const client = {
  redirect_uris: [redirectUri],
  post_logout_redirect_uris: [signedOutUri],
  grant_types: ['authorization_code'],
  response_types: ['code'],
  id_token_signed_response_alg: 'ES256',
};
const provider = new Provider(issuer, {
  clients: [
    { ...client, client_id: 'public', token_endpoint_auth_method: 'none' },
    { ...client, client_id: 'confidential', client_secret: 'a secret + of / tests', token_endpoint_auth_method: 'client_secret_basic' },
  ],
  jwks: { keys: [{ ...key, kid: 'first', use: 'sig', alg: 'ES256' }] },
  cookies: { keys: ['a key of tests'] },
  claims: { openid: ['sub', 'clinician', 'role', 'organisation'] },
  conformIdTokenClaims: false,
  features: { devInteractions: { enabled: false }, rpInitiatedLogout: { enabled: true } },
  interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
  findAccount: (_, id) => {
    const [clinician, role, organisation] = id.split('|');
    return { accountId: id, claims: () => ({ sub: id, clinician, role, organisation }) };
  },
  loadExistingGrant: async (ctx) => {
    const grant = new ctx.oidc.provider.Grant({ clientId: ctx.oidc.client.clientId, accountId: ctx.oidc.session.accountId });
    grant.addOIDCScope('openid');
    await grant.save();
    return grant;
  },
});
const PAGE = `<!doctype html><html lang="en"><head><title>Provider</title></head><body><form method="post">
<label>Who <input name="login" autofocus></label><button name="act" value="enter">Enter</button>
<button name="act" value="leave">Leave</button></form></body></html>`;

http.createServer(async (request, response) => {
  if (request.url === '/framing') { // a page of another origin that frames one of ours, and one that may be framed
    response.setHeader('content-type', 'text/html');
    response.end(`<title>a</title><iframe src="${new URL(redirectUri).origin}/app/sign-in"></iframe><iframe src="/interaction/none"></iframe>`);
    return;
  }
  if (!request.url.startsWith('/interaction/')) {
    provider.callback()(request, response);
    return;
  }
  if (request.method === 'GET') {
    response.setHeader('content-type', 'text/html');
    response.end(PAGE);
    return;
  }
  let body = '';
  for await (const chunk of request) body += chunk;
  const form = new URLSearchParams(body);
  const result = form.get('act') === 'leave'
    ? { error: 'access_denied', error_description: 'The person <b>left</b>' }
    : { login: { accountId: form.get('login') } };
  await provider.interactionFinished(request, response, result, { mergeWithLastSubmission: false });
}).listen(Number(port), '127.0.0.1', () => { process.stdout.write('ready\n'); });
