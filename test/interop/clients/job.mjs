// What every TypeScript client program of the interop tests does: it takes a JSON array of jobs
// as its only argument and prints one JSON line for each, in order.
//
// A job: {transport: "stdio" | "sse" | "http", url, headers, command, args, env, cwd, mode,
//         calls: [{name, arguments}], steps: [see talk.mjs]}
// A line: {protocolVersion, serverInfo, tools, wireTools, results: [{result | error, progress}], said}
//      or {error} if no session came about.
//
// `tools` is what the SDK gives its user, `wireTools` what came over the transport before the SDK
// parsed it. `progress` holds the progress notifications that came before the answer of the call
// and carried its token; `strayProgress` counts all others.

import { CAPABILITIES, Talk } from './talk.mjs';

const REVISION_KEY = 'io.modelcontextprotocol/protocolVersion';

/**
 * Runs all jobs with an SDK: {transport(job), client(job, capabilities),
 * handle(client, method, handler), callTool(client, params, options)}.
 */
export async function main(sdk) {
  console.log = console.debug = console.info = console.error; // what an SDK has to say is no result
  for (const job of JSON.parse(process.argv[2])) {
    let line;
    try {
      line = await run(sdk, job);
    } catch (e) {
      line = { error: describe(e) };
    }
    process.stdout.write(JSON.stringify(line) + '\n');
  }
}

async function run(sdk, job) {
  const transport = sdk.transport(job);
  const talk = new Talk();
  const wire = watch(transport, talk);
  const client = sdk.client(job, job.steps ? CAPABILITIES : {});
  if (job.steps) talk.answer((method, handler) => sdk.handle(client, method, handler));
  await client.connect(transport);
  try {
    const tools = await listAll(client);
    const results = [];
    for (const call of job.calls ?? []) {
      results.push(await callOne(sdk, client, wire, call));
    }
    const said = await talk.run(sdk, client, wire, job.steps ?? []);
    return {
      protocolVersion: wire.revision,
      serverInfo: client.getServerVersion(),
      tools,
      wireTools: wire.tools,
      strayProgress: wire.stray,
      results,
      said,
    };
  } finally {
    await client.close();
  }
}

async function listAll(client) {
  const tools = [];
  let cursor;
  do {
    const page = await client.listTools(cursor === undefined ? undefined : { cursor });
    tools.push(...page.tools);
    cursor = page.nextCursor;
  } while (cursor !== undefined);
  return tools;
}

async function callOne(sdk, client, wire, call) {
  wire.progress = [];
  // Asking for progress makes the SDK send a token. The notifications themselves are read off the
  // wire, because the SDK drops the last ones when they come together with the answer.
  const options = { onprogress() {} };
  const params = { name: call.name, arguments: call.arguments };
  const outcome = {};
  try {
    outcome.result = await sdk.callTool(client, params, options);
  } catch (e) {
    outcome.error = describe(e);
  }
  outcome.progress = wire.progress;
  return outcome;
}

/** Notes what passes a transport, beneath the SDK. */
function watch(transport, talk) {
  const wire = { revision: undefined, tools: [], progress: [], stray: 0 };
  const asked = new Map(); // request id → method
  let token; // of the call that is open
  let openId;
  const send = transport.send.bind(transport);
  transport.send = (message, options) => {
    for (const m of [message].flat()) {
      if (m.method !== undefined && m.id !== undefined) asked.set(m.id, m.method);
      if (m.params?._meta?.[REVISION_KEY] !== undefined) wire.revision = m.params._meta[REVISION_KEY];
      if (m.method === 'initialize') wire.revision = undefined;
      if (m.method === 'tools/call') {
        token = m.params._meta?.progressToken;
        openId = m.id;
      }
    }
    return send(message, options);
  };
  // Both SDKs keep a handler that is there before connect() and call it first.
  transport.onmessage = (m) => {
    if (m.method === 'notifications/progress') {
      if (token !== undefined && m.params.progressToken === token) wire.progress.push(m.params);
      else wire.stray++;
    }
    if (m.method !== undefined && m.id === undefined) talk.hear(m);
    if (m.method !== undefined || m.id === undefined) return;
    if (m.id === openId) token = undefined; // progress after the answer is stray
    const method = asked.get(m.id);
    if (method === 'initialize' && m.result) wire.revision = m.result.protocolVersion;
    if (method === 'tools/list' && m.result) wire.tools.push(...m.result.tools);
  };
  return wire;
}

function describe(e) {
  return { name: e?.name, message: String(e?.message ?? e), code: e?.code, data: e?.data };
}
