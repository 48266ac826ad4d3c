// An MCP client made with the TypeScript SDK v2 (@modelcontextprotocol/client). See job.mjs.
// mode: "stateful" (the SDK's default), "auto" (server/discover first, then initialize) or
// "stateless" (2026-07-28 or nothing).
import { Client, SSEClientTransport, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';
import { main } from './job.mjs';

const MODES = { stateful: 'legacy', auto: 'auto', stateless: { pin: '2026-07-28' } };

await main({
  transport(job) {
    const options = { requestInit: { headers: job.headers ?? {} } };
    switch (job.transport) {
      case 'stdio':
        return new StdioClientTransport({ command: job.command, args: job.args, env: job.env, cwd: job.cwd, stderr: 'inherit' });
      case 'sse':
        return new SSEClientTransport(new URL(job.url), options);
      case 'http':
        return new StreamableHTTPClientTransport(new URL(job.url), options);
    }
    throw new Error(`transport ${job.transport}: want stdio, sse or http`);
  },

  client(job, capabilities) {
    const mode = MODES[job.mode ?? 'stateful'];
    if (mode === undefined) throw new Error(`mode ${job.mode}: want stateful, auto or stateless`);
    return new Client({ name: 'interop-ts-v2', version: '1.0.0' }, { capabilities, versionNegotiation: { mode } });
  },

  handle: (client, method, handler) => client.setRequestHandler(method, handler),

  callTool: (client, params, options) => client.callTool(params, options),
});
