// The steps of a job in which the server may ask the client, and tell it things. Each step is one
// request, or several at once, and answers to whatever the server asks meanwhile. A step:
//
//   {do: "tool" | "prompt" | "prompts" | "resources" | "templates" | "read" | "complete" | "level" |
//        "subscribe" | "unsubscribe" | "together",
//    name, args, uri, ref, argument, context, level, with: [step],
//    answer, content,          what an elicitation is answered
//    await: {method: count}}   notifications to wait for after the answer
//
// What came of it: {result | error, asked: [{method, params}], heard: [{method, params}]}.

/** What a client declares that can be asked. */
export const CAPABILITIES = { sampling: {}, elicitation: { form: {}, url: {} }, roots: { listChanged: true } };

const LOG_LEVEL_KEY = 'io.modelcontextprotocol/logLevel';
const PATIENCE_MS = 5000;

const ROOTS = [
  { uri: 'file:///home/ada/notes', name: 'notes' },
  { uri: 'file:///home/ada/project', name: 'project' },
];

export class Talk {
  #step = {};
  #asked = [];
  #heard = [];
  #changed = () => {};
  #level;
  #listening = new Map(); // URI → an open subscription of the stateless era

  /** Answers the server's questions. handle(method, handler) is the SDK's way to say so. */
  answer(handle) {
    handle('sampling/createMessage', (request) => {
      this.#ask(request);
      const content = [request.params.messages.at(-1).content].flat()[0];
      return { model: 'test-model', role: 'assistant', content: { type: 'text', text: `Sampled: ${content.text}` }, stopReason: 'endTurn' };
    });
    handle('elicitation/create', (request) => {
      this.#ask(request);
      const action = this.#step.answer ?? 'accept';
      const form = request.params.mode !== 'url' && action === 'accept';
      return form ? { action, content: this.#step.content ?? {} } : { action };
    });
    handle('roots/list', (request) => {
      this.#ask(request);
      return { roots: ROOTS };
    });
  }

  #ask({ method, params }) {
    this.#asked.push({ method, params });
  }

  /** Notes a notification that came over the transport. */
  hear({ method, params }) {
    this.#heard.push({ method, params });
    this.#changed();
  }

  async run(sdk, client, wire, steps) {
    const said = [];
    for (const step of steps) {
      this.#step = step;
      this.#asked = [];
      this.#heard = [];
      const outcome = await this.#try(() => this.#do(sdk, client, wire, step));
      await this.#wait(step.await ?? {});
      said.push({ ...outcome, asked: this.#asked, heard: this.#heard });
    }
    for (const subscription of this.#listening.values()) await subscription.close();
    return said;
  }

  async #try(f) {
    try {
      return { result: (await f()) ?? {} };
    } catch (e) {
      return { error: { message: String(e?.message ?? e), code: e?.code, data: e?.data } };
    }
  }

  async #wait(counts) {
    const guard = Date.now() + PATIENCE_MS;
    const missing = () =>
      Object.entries(counts).some(([method, n]) => this.#heard.filter((h) => h.method === method).length < n);
    while (missing() && Date.now() < guard) {
      let timer;
      await new Promise((resolve) => {
        this.#changed = resolve;
        timer = setTimeout(resolve, guard - Date.now());
      });
      clearTimeout(timer);
    }
  }

  async #do(sdk, client, wire, step) {
    const stateless = wire.revision >= '2026';
    // In the stateless era the level goes with each request (2026-07-28, server/utilities/logging).
    const meta = stateless && this.#level !== undefined ? { _meta: { [LOG_LEVEL_KEY]: this.#level } } : {};
    switch (step.do) {
      case 'tool':
        return sdk.callTool(client, { name: step.name, arguments: step.args ?? {}, ...meta }, { onprogress() {} });
      case 'together':
        return { all: await Promise.all(step.with.map((s) => this.#try(() => this.#do(sdk, client, wire, s)))) };
      case 'prompt':
        return client.getPrompt({ name: step.name, ...(step.args && { arguments: step.args }), ...meta });
      case 'prompts':
        return client.listPrompts();
      case 'resources':
        return client.listResources();
      case 'templates':
        return client.listResourceTemplates();
      case 'read':
        return client.readResource({ uri: step.uri, ...meta });
      case 'complete':
        return client.complete({ ref: step.ref, argument: step.argument, ...(step.context && { context: step.context }) });
      case 'level':
        this.#level = step.level;
        return stateless ? {} : client.setLoggingLevel(step.level);
      case 'subscribe':
        if (!stateless) return client.subscribeResource({ uri: step.uri });
        this.#listening.set(step.uri, await client.listen({ resourceSubscriptions: [step.uri] }));
        return {};
      case 'unsubscribe':
        if (!stateless) return client.unsubscribeResource({ uri: step.uri });
        await this.#listening.get(step.uri).close();
        this.#listening.delete(step.uri);
        return {};
    }
    throw new Error(`step ${step.do}: not known`);
  }
}
