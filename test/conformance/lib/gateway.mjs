// What a group of cells needs: the peer, a gateway before it, and a shim where names are prefixed.
import fs from 'node:fs';
import path from 'node:path';
import { revisionOf } from './cells.mjs';
import { answers, end, freePort, start } from './processes.mjs';
import { startShim } from './shim.mjs';

const SERVER = 'everything'; // its name in the gateway's config
const OTHERS = ['calculator', 'echo'];

/** The peer over HTTP: {url, stop}. */
export async function startPeer({ cache, server, folder }) {
  const port = await freePort();
  const stateless = server === 'to-stateless';
  const peer = start({ folder, name: 'peer', command: peerBinary(cache), args: [`-http=127.0.0.1:${port}`, `-stateless=${stateless}`] });
  return started([peer], async () => {
    const url = `http://127.0.0.1:${port}/`;
    await answers(peer, url);
    return url;
  });
}

/** The whole chain of a group: {url, stop}. */
export async function startChain({ cache, gateway, group, folder }) {
  const { server, transport, names, company } = group;
  const parts = [];
  return started(parts, async () => {
    const peer = transport === 'http' ? await startPeer({ cache, server, folder }) : undefined;
    if (peer) parts.push(peer);
    const entry = peer ? { type: 'http', url: peer.url } : { command: peerBinary(cache), protocol: server.replace('to-', '') };
    if (names === 'bare') entry.prefix = '';
    const others = company === 'beside' ? OTHERS.map((name) => [name, { command: '${MCP_GATEWAY}', args: ['demo', name] }]) : [];
    const url = await startGateway({ parts, gateway, folder, server, servers: { [SERVER]: entry, ...Object.fromEntries(others) } });
    if (names === 'bare') return url;
    const shim = await startShim({ target: url, prefix: `${SERVER}.` });
    parts.push({ stop: shim.close });
    return shim.url;
  });
}

async function startGateway({ parts, gateway, folder, server, servers }) {
  const config = path.join(folder, 'servers.json');
  fs.writeFileSync(config, JSON.stringify({ mcpServers: servers }, null, 1));
  const port = await freePort();
  const args = ['--config', config, '--transport', 'streamable-http', '--port', String(port), '--state', path.join(folder, 'state')];
  const child = start({ folder, name: 'gateway', command: gateway, args });
  parts.push(child);
  await answers(child, `http://127.0.0.1:${port}/ready`, (status) => status === 200);
  await check(`http://127.0.0.1:${port}/servers`, server, Object.keys(servers));
  return `http://127.0.0.1:${port}/mcp`;
}

/** A cell must be what it says: all servers there, and the peer spoken to in the era that is meant. */
async function check(url, server, names) {
  const { servers } = await (await fetch(url)).json();
  for (const name of names) {
    const s = servers.find((s) => s.name === name);
    if (s?.state !== 'ready') throw new Error(`${name} is ${s?.state}: ${s?.reason}`);
    if (name === SERVER && s.protocol !== revisionOf(server)) throw new Error(`${name} is spoken to in ${s.protocol}, not in ${revisionOf(server)}`);
  }
}

const peerBinary = (cache) => path.join(cache, 'bin', 'everything-server');

/** What begin gives as url, and how to stop the parts; where begin fails they are stopped at once. */
async function started(parts, begin) {
  const stop = async () => {
    for (const part of parts.toReversed()) await (part.stop ? part.stop() : end(part));
  };
  try {
    return { url: await begin(), stop };
  } catch (e) {
    await stop();
    throw e;
  }
}
