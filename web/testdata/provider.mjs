// An OpenID Connect provider on loopback: panva's oidc-provider, as certified by the OpenID Foundation. It prints its issuer and
// serves until its input ends. Whoever signs in as NAME is NAME@here.test; ada is in the group "chiefs". E-mail address and groups
// it tells at the UserInfo endpoint alone.
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { once } from "node:events";
import { pathToFileURL } from "node:url";

const require = createRequire(process.env.MODULES + "/");
const { default: Provider } = await import(pathToFileURL(require.resolve("oidc-provider")));
const server = createServer();
server.listen(0, "127.0.0.1");
await once(server, "listening");
const issuer = `http://127.0.0.1:${server.address().port}`;
const provider = new Provider(issuer, {
  clients: [{
    client_id: "doctor", client_secret: "CANARY-client",
    application_type: "native", // takes any port on loopback (RFC 8252 7.3): the server's is not known yet
    redirect_uris: ["http://127.0.0.1/sign-in/callback"], post_logout_redirect_uris: ["http://127.0.0.1/sign-in"],
  }],
  claims: { openid: ["sub"], email: ["email", "email_verified"], profile: ["name"], groups: ["groups"] },
  cookies: { keys: ["made up"] },
  features: { devInteractions: { enabled: false } }, // its pages load fonts from the internet
  interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
  async loadExistingGrant(ctx) { // everybody consents
    const grant = new ctx.oidc.provider.Grant({ clientId: ctx.oidc.client.clientId, accountId: ctx.oidc.session.accountId });
    grant.addOIDCScope("openid profile email groups");
    await grant.save();
    return grant;
  },
  findAccount: (_, id) => ({
    accountId: id,
    claims: () => ({ sub: id, email: `${id}@here.test`, email_verified: true, name: id, groups: id === "ada" ? ["chiefs"] : [] }),
  }),
});
const page = `<!doctype html><title>Our Login</title><link rel="icon" href="data:,"><form method="post">
<input name="login" aria-label="Name"><input name="password" type="password" aria-label="Password"><button>Sign in</button></form>`;
const callback = provider.callback();
server.on("request", async (req, res) => {
  if (!req.url.startsWith("/interaction/")) return callback(req, res);
  if (req.method === "GET") return res.setHeader("Content-Type", "text/html").end(page);
  let body = "";
  for await (const part of req) body += part;
  await provider.interactionFinished(req, res, {
    login: { accountId: new URLSearchParams(body).get("login") },
    consent: {}, // which native clients have to ask for
  });
});
console.log(issuer);
process.stdin.resume().on("end", () => process.exit());
