// Drives OpenAI's Node SDK: with_openai.mjs DIRECTORY-WITH-NODE_MODULES create|stream|pacing|tool|chat|models.
//
// The address and a key come from OPENAI_BASE_URL and OPENAI_API_KEY, as in any program that uses it.

import { createRequire } from 'node:module';

const [directory, check] = process.argv.slice(2);
const { default: OpenAI } = createRequire(directory)('openai');
const client = new OpenAI({ defaultHeaders: { cookie: process.env.COMPAT_COOKIE } });
const request = { model: 'gpt-mock', input: 'hi' };

const lookUp = ({ word }) => `${word}-${40 + 2}`;
const tool = {
  type: 'function',
  name: 'look_up',
  parameters: { type: 'object', properties: { word: { type: 'string' } }, required: ['word'] },
};

// Prints what arrives at once, so that an error later does not take it away.
async function stream(options) {
  let last;
  for await (const event of await client.responses.create({ ...request, ...options, stream: true })) {
    if (event.type === 'response.output_text.delta') process.stdout.write(event.delta);
    last = event;
  }
  if (last?.type !== 'response.completed') throw new Error(`the stream ended with ${last?.type}`);
  return last.response.output;
}

const checks = {
  async create() {
    console.log((await client.responses.create(request)).output_text);
  },
  async stream() {
    await stream();
  },
  async tool() {
    const input = [{ role: 'user', content: 'hi' }];
    for (const item of await stream({ input, tools: [tool] })) {
      if (item.type !== 'function_call') continue;
      const output = lookUp(JSON.parse(item.arguments));
      input.push(item, { type: 'function_call_output', call_id: item.call_id, output });
    }
    await stream({ input, tools: [tool] });
  },
  async pacing() {
    for await (const event of await client.responses.create({ ...request, stream: true })) {
      if (event.type !== 'response.output_text.delta') continue;
      const now = Math.round((performance.timeOrigin + performance.now()) * 1000);
      console.log(event.delta, now);
    }
  },
  async chat() {
    console.log(await client.chat.completions.create({ model: 'gpt-mock', messages: [{ role: 'user', content: 'hi' }] }));
  },
  async models() {
    await client.models.list();
  },
};

try {
  await checks[check]();
} catch (error) {
  console.error(`${error.name}: ${error.message}${error.cause ? ` (${error.cause.message})` : ''}`);
  process.exitCode = 1;
}
