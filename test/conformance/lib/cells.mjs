// The matrix. A cell is a client's revision and what it stands before: a server of an era and a transport,
// its names with the gateway's prefix (through the shim) or without (nothing between), alone or beside others.
const DIMENSIONS = {
  client: ['2025-06-18', '2025-11-25', '2026-07-28'],
  server: ['to-stateful', 'to-stateless'],
  transport: ['http', 'stdio'],
  names: ['prefixed', 'bare'],
  company: ['alone', 'beside'],
  eras: ['same', 'crossed'], // follows from client and server
};
const KEYS = Object.keys(DIMENSIONS);
const TAGS = new Map(KEYS.flatMap((key) => DIMENSIONS[key].map((value) => [`@${value}`, key])));

export const eraOf = (revision) => (revision === '2026-07-28' ? 'stateless' : 'stateful');

/** The revision that a server of the era is spoken to in. */
export const revisionOf = (server) => (server === 'to-stateless' ? '2026-07-28' : '2025-11-25');

/** All cells, those of one gateway together; in each group the clients of the server's own era come first. */
export function matrix() {
  const groups = [];
  for (const server of DIMENSIONS.server) for (const transport of DIMENSIONS.transport)
    for (const names of DIMENSIONS.names) for (const company of DIMENSIONS.company) {
      const cells = DIMENSIONS.client.map((client) => {
        const eras = `to-${eraOf(client)}` === server ? 'same' : 'crossed';
        return { client, server, transport, names, company, eras };
      });
      groups.push(cells.sort((a, b) => DIMENSIONS.eras.indexOf(a.eras) - DIMENSIONS.eras.indexOf(b.eras)));
    }
  return groups;
}

/** What a quick run keeps: each revision, era pair, transport, kind of names and company at least once. */
export function quick(cell) {
  const { client, transport, names, company, eras } = cell;
  if (transport === 'http' && names === 'prefixed' && company === 'alone') return eras === 'same' || client !== '2025-06-18';
  return transport === 'stdio' && names === 'bare' && company === 'beside' && eras === 'same' && client !== '2025-06-18';
}

export const isTag = (word) => TAGS.has(word);
export const tagsOf = (cell) => KEYS.map((key) => `@${cell[key]}`);
export const matches = (tags, cell) => tags.every((tag) => cell[TAGS.get(tag)] === tag.slice(1));
export const nameOf = (cell) => KEYS.slice(0, -1).map((key) => cell[key]).join(' ');

/** The fewest sets of tags that say these cells and no other of all: [{tags, cells}]. */
export function describe(cells, all) {
  const others = all.filter((cell) => !cells.includes(cell));
  const candidates = [];
  const choose = (i, tags) => {
    if (i === KEYS.length) {
      const covered = cells.filter((cell) => matches(tags, cell));
      if (covered.length > 0 && !others.some((cell) => matches(tags, cell))) candidates.push({ tags, covered });
      return;
    }
    choose(i + 1, tags);
    for (const value of DIMENSIONS[KEYS[i]]) choose(i + 1, [...tags, `@${value}`]);
  };
  choose(0, []);
  const out = [];
  let rest = new Set(cells);
  while (rest.size > 0) {
    const gain = (c) => c.covered.filter((cell) => rest.has(cell)).length;
    const best = candidates.reduce((a, b) => (gain(b) - gain(a) || a.tags.length - b.tags.length) > 0 ? b : a);
    out.push({ tags: best.tags, cells: best.covered });
    rest = new Set([...rest].filter((cell) => !best.covered.includes(cell)));
  }
  return out;
}
