// Calls a served Portolan with the Node clients: pop-core, which signs in the
// parameters, and openapi-client, which signs in the headers.
// scripts/clients.sh starts the server, prepares it, and says where it is.
"use strict";

const assert = require("node:assert/strict");
const test = require("node:test");
const { RPCClient } = require("@alicloud/pop-core");
const OpenApi = require("@alicloud/openapi-client");
const Util = require("@alicloud/tea-util");

const PREPARED = 25;
const HARBORS = 10;
const CJK_NAME = "镜像仓库-生产";
const env = process.env;
const skip = env.CLIENTS_ENDPOINT ? false : "run scripts/clients.sh";
const root = () => ({ id: env.CLIENTS_ROOT_ID, secret: env.CLIENTS_ROOT_SECRET, endpoint: env.CLIENTS_ENDPOINT });

async function popCore(method, key, params) {
  const client = new RPCClient({
    accessKeyId: key.id, accessKeySecret: key.secret, securityToken: key.token,
    endpoint: `http://${key.endpoint}`, apiVersion: "2018-12-03",
  });
  const flat = {};
  for (const [name, value] of Object.entries(params)) {
    if (Array.isArray(value)) value.forEach((v, i) => { flat[`${name}.${i + 1}`] = v; });
    else flat[name] = value;
  }
  return client.request("PageImageRegistry", flat, { method });
}

async function openApi(_, key, params) {
  const client = new OpenApi.default(new OpenApi.Config({
    accessKeyId: key.id, accessKeySecret: key.secret, securityToken: key.token, endpoint: key.endpoint, protocol: "http",
  }));
  const answer = await client.callApi(new OpenApi.Params({
    action: "PageImageRegistry", version: "2018-12-03", protocol: "HTTP", pathname: "/", method: "POST",
    authType: "AK", style: "RPC", reqBodyType: "formData", bodyType: "json",
  }), new OpenApi.OpenApiRequest({ body: params }), new Util.RuntimeOptions({}));
  return answer.body;
}

const clients = {
  "pop-core GET": (key, params) => popCore("GET", key, params),
  "pop-core POST": (key, params) => popCore("POST", key, params),
  "openapi-client": (key, params) => openApi("", key, params),
};

async function refusal(promise) {
  try {
    await promise;
  } catch (e) {
    return String(e.code || e.message);
  }
  return "no error";
}

for (const [name, call] of Object.entries(clients)) {
  test(`${name}: lists`, { skip }, async () => {
    const all = await call(root(), {});
    assert.equal(Number(all.PageInfo.TotalCount), PREPARED);
    assert.equal(all.List.length, 20);
    const harbors = await call(root(), { RegistryTypeInList: ["harbor", "CI/CD"] });
    assert.equal(Number(harbors.PageInfo.TotalCount), HARBORS);
    const none = await call(root(), { RegistryTypeInList: ["nexus"] });
    assert.deepEqual(none.List, []);
  });

  test(`${name}: fuzzy name`, { skip }, async () => {
    const found = await call(root(), { RegistryNameLike: "像仓" });
    assert.deepEqual(found.List.map((r) => r.RegistryName), [CJK_NAME]);
    assert.equal(Number((await call(root(), { RegistryNameLike: "REG-0" })).PageInfo.TotalCount), 9);
  });

  test(`${name}: paging to the end`, { skip }, async () => {
    const seen = new Set();
    for (let page = 1; ; page++) {
      const answer = await call(root(), { CurrentPage: page, PageSize: 7 });
      if (answer.List.length === 0) break;
      answer.List.forEach((r) => seen.add(String(r.Id)));
    }
    assert.equal(seen.size, PREPARED);
  });

  test(`${name}: refusals`, { skip }, async () => {
    const good = root();
    assert.match(await refusal(call({ ...good, secret: "wrong" }, {})), /SignatureDoesNotMatch/);
    assert.match(await refusal(call({ ...good, id: "LTAI5tUnknownUnknownUnkn" }, {})), /InvalidAccessKeyId\.NotFound/);
    assert.match(await refusal(call({ ...good, token: "not-a-token" }, {})), /InvalidSecurityToken\.Malformed/);
    assert.match(await refusal(call({ ...good, id: env.CLIENTS_DENIED_ID, secret: env.CLIENTS_DENIED_SECRET }, {})), /NoPermission/);
  });

  test(`${name}: throttling`, { skip }, async () => {
    const key = { id: env.CLIENTS_THROTTLED_ID, secret: env.CLIENTS_THROTTLED_SECRET, endpoint: env.CLIENTS_THROTTLED_ENDPOINT };
    let said = "no error";
    for (let i = 0; i < 20 && said === "no error"; i++) said = await refusal(call(key, {}));
    assert.match(said, /Throttling\.User/);
  });
}
