// Drives OpenAI's Node SDK: sdk.mjs DIRECTORY-WITH-NODE_MODULES create|stream|pacing|refusal.
//
// The address and a key come from OPENAI_BASE_URL and OPENAI_API_KEY, as in any program that uses it.

import { createRequire } from 'node:module';

const [directory, check] = process.argv.slice(2);
const { default: OpenAI } = createRequire(directory)('openai');
const client = new OpenAI({ defaultHeaders: { cookie: process.env.COMPAT_COOKIE } });
const request = { model: 'gpt-mock', input: 'hi' };

const checks = {
  async create() {
    console.log((await client.responses.create(request)).output_text);
  },
  // Prints what arrives at once, so that an error later does not take it away.
  async stream() {
    let last;
    for await (const event of await client.responses.create({ ...request, stream: true })) {
      if (event.type === 'response.output_text.delta') process.stdout.write(event.delta);
      last = event.type;
    }
    if (last !== 'response.completed') throw new Error(`the stream ended with ${last}`);
  },
  async pacing() {
    for await (const event of await client.responses.create({ ...request, stream: true })) {
      if (event.type !== 'response.output_text.delta') continue;
      const now = Math.round((performance.timeOrigin + performance.now()) * 1000);
      console.log(event.delta, now);
    }
  },
  async refusal() {
    await client.models.list();
  },
};

try {
  await checks[check]();
} catch (error) {
  console.error(`${error.name}: ${error.message}${error.cause ? ` (${error.cause.message})` : ''}`);
  process.exitCode = 1;
}
