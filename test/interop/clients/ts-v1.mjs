// An MCP client made with the TypeScript SDK v1 (@modelcontextprotocol/sdk). See job.mjs.
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { SSEClientTransport } from '@modelcontextprotocol/sdk/client/sse.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import {
  CreateMessageRequestSchema,
  ElicitRequestSchema,
  ListRootsRequestSchema,
} from '@modelcontextprotocol/sdk/types.js';
import { main } from './job.mjs';

const QUESTIONS = {
  'sampling/createMessage': CreateMessageRequestSchema,
  'elicitation/create': ElicitRequestSchema,
  'roots/list': ListRootsRequestSchema,
};

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
    if (job.mode !== undefined && job.mode !== 'stateful') throw new Error(`mode ${job.mode}: v1 is stateful only`);
    return new Client({ name: 'interop-ts-v1', version: '1.0.0' }, { capabilities });
  },

  handle: (client, method, handler) => client.setRequestHandler(QUESTIONS[method], handler),

  callTool: (client, params, options) => client.callTool(params, undefined, options),
});
