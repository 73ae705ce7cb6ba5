// Drives Vercel's AI SDK: with_ai_sdk.mjs DIRECTORY-WITH-NODE_MODULES stream|tool|chat.
//
// The address and a key come from OPENAI_BASE_URL and OPENAI_API_KEY, as in any program that uses it.

import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const [directory, check] = process.argv.slice(2);
const load = name => import(pathToFileURL(createRequire(directory).resolve(name)));
const { isStepCount, jsonSchema, stepCountIs, streamText, tool } = await load('ai');
const { openai } = await load('@ai-sdk/openai');

const lookUp = tool({
  description: 'Looks a word up.',
  inputSchema: jsonSchema({ type: 'object', properties: { word: { type: 'string' } }, required: ['word'] }),
  execute: async ({ word }) => `${word}-${40 + 2}`,
});

// Prints what arrives at once, so that an error later does not take it away.
async function show(model, options) {
  const { fullStream } = streamText({ model, prompt: 'hi', onError() {}, ...options });
  for await (const part of fullStream) {
    if (part.type === 'text-delta') process.stdout.write(part.text);
    if (part.type === 'error') throw part.error;
    if (part.type === 'finish' && part.finishReason !== 'stop') throw new Error(`finished: ${part.finishReason}`);
  }
}

const checks = {
  stream: () => show(openai('gpt-mock')),
  tool: () => show(openai('gpt-mock'), { tools: { look_up: lookUp }, stopWhen: (isStepCount ?? stepCountIs)(2) }),
  chat: () => show(openai.chat('gpt-mock')),
};

try {
  await checks[check]();
} catch (error) {
  console.error(`${error.name}: ${error.message}`);
  process.exitCode = 1;
}
