// A transparent HTTP shim between the suite, which calls tools and prompts by bare names, and a gateway
// that puts a prefix before them: it adds the prefix on the way in and strips it on the way out.
// Every name gets it, so that a gateway without prefixes fails through the shim. Status, headers (case
// and order), framing of event streams, DELETE, GET and aborts in either direction pass unchanged;
// a body is written anew only if a name in it changed.
import http from 'node:http';

const BASE64 = /^=\?base64\?([A-Za-z0-9+/=]*)\?=$/; // 2026-07-28, basic/transports/streamable-http, header encoding
const PER_HOP = new Set(['content-length', 'transfer-encoding', 'connection', 'keep-alive']);

/** Serves target's path on a loopback port: {url, close}. */
export function startShim({ target, prefix }) {
  const to = new URL(target);
  const names = namesWith(prefix);
  const server = http.createServer((request, response) => {
    const chunks = [];
    request.on('data', (d) => chunks.push(d));
    request.on('error', () => {});
    request.on('end', () => pass({ names, to, own: server.address().port }, request, Buffer.concat(chunks), response));
  });
  Object.assign(server, { keepAliveTimeout: 1000, requestTimeout: 0, headersTimeout: 0 });
  return new Promise((resolve, reject) => server.on('error', reject).listen(0, '127.0.0.1', () => resolve({
    url: `http://127.0.0.1:${server.address().port}${to.pathname}`,
    close() {
      server.close();
      server.closeAllConnections();
    },
  })));
}

/** Where names stand in messages. Each function changes a message in place and says whether it did. */
function namesWith(prefix) {
  const add = (name) => prefix + name;
  const cut = (name) => (name.startsWith(prefix) ? name.slice(prefix.length) : name);
  const set = (object, change) => {
    if (typeof object?.name !== 'string') return false;
    const name = change(object.name);
    const changed = name !== object.name;
    object.name = name;
    return changed;
  };
  const each = (list, f) => list.map(f).some(Boolean);
  const request = (m) => {
    if (Array.isArray(m)) return each(m, request);
    if (m?.method === 'tools/call' || m?.method === 'prompts/get') return set(m.params, add);
    if (m?.method === 'completion/complete' && m.params?.ref?.type === 'ref/prompt') return set(m.params.ref, add);
    return false;
  };
  const response = (m) => {
    if (Array.isArray(m)) return each(m, response);
    const lists = [m?.result?.tools, m?.result?.prompts].filter(Array.isArray);
    return each(lists.flat(), (entry) => set(entry, cut));
  };
  return { add, request, response };
}

function rewrite(text, change) {
  let message;
  try {
    message = JSON.parse(text);
  } catch {
    return text;
  }
  return change(message) ? JSON.stringify(message) : text;
}

function pass(shim, request, body, response) {
  let method;
  if (/json/i.test(request.headers['content-type'] ?? '')) {
    const text = body.toString('utf8');
    const changed = rewrite(text, (m) => {
      method = m?.method;
      return shim.names.request(m);
    });
    if (changed !== text) body = Buffer.from(changed);
  }
  const url = new URL(request.url, 'http://shim');
  const up = http.request({
    host: shim.to.hostname, port: shim.to.port, method: request.method, path: url.pathname + url.search,
    headers: requestHeaders(shim, request, body, method), setHost: false, agent: false,
  });
  response.on('close', () => up.destroy());
  up.on('error', (e) => {
    if (response.headersSent) return response.destroy();
    response.writeHead(502).end(`shim: ${e.message}`);
  });
  up.on('response', (answer) => passAnswer(shim.names, answer, response));
  up.end(body);
}

function requestHeaders({ names, to, own }, request, body, method) {
  const out = [];
  for (const [name, given] of pairs(request.rawHeaders)) {
    const key = name.toLowerCase();
    if (PER_HOP.has(key)) continue;
    let value = given;
    // Only the shim's own address is made the target's: a foreign one must arrive, it is what is tested.
    if (key === 'host' && (value === `127.0.0.1:${own}` || value === `localhost:${own}`)) value = to.host;
    if (key === 'origin' && (value === `http://127.0.0.1:${own}` || value === `http://localhost:${own}`)) value = to.origin;
    if (key === 'mcp-name' && (method === 'tools/call' || method === 'prompts/get')) value = headerName(names, value);
    out.push(name, value);
  }
  if (body.length > 0 || request.method === 'POST') out.push('Content-Length', String(body.length));
  return out;
}

function headerName(names, value) {
  const encoded = value.match(BASE64);
  if (!encoded) return names.add(value);
  const name = names.add(Buffer.from(encoded[1], 'base64').toString('utf8'));
  return `=?base64?${Buffer.from(name).toString('base64')}?=`;
}

function passAnswer(names, answer, response) {
  const type = answer.headers['content-type'] ?? '';
  const events = /event-stream/i.test(type), json = /json/i.test(type);
  const headers = [...pairs(answer.rawHeaders)].filter(([name]) => {
    const key = name.toLowerCase();
    return !PER_HOP.has(key) || (key === 'content-length' && !events && !json);
  }).flat();
  answer.on('error', () => response.destroy());
  if (json) {
    const chunks = [];
    answer.on('data', (d) => chunks.push(d));
    answer.on('end', () => {
      const body = Buffer.from(rewrite(Buffer.concat(chunks).toString('utf8'), names.response));
      response.writeHead(answer.statusCode, [...headers, 'Content-Length', String(body.length)]).end(body);
    });
    return;
  }
  response.writeHead(answer.statusCode, headers);
  response.flushHeaders();
  if (!events) {
    answer.pipe(response);
    return;
  }
  passEvents(names, answer, response);
}

/** Line by line, so that nothing is held back. */
function passEvents(names, answer, response) {
  let rest = '';
  answer.setEncoding('utf8');
  answer.on('data', (d) => {
    const lines = (rest + d).split('\n');
    rest = lines.pop();
    for (const line of lines) {
      const [, field, data, end] = line.match(/^(data: ?)([{[].*[}\]])(\r?)$/) ?? [];
      response.write((field === undefined ? line : field + rewrite(data, names.response) + end) + '\n');
    }
  });
  answer.on('end', () => response.end(rest));
}

function* pairs(raw) {
  for (let i = 0; i < raw.length; i += 2) yield [raw[i], raw[i + 1]];
}
