// Runs pieces of JavaScript for a test in Python: one JSON object a line comes in and goes out.
//
//     node driver.mjs <simplysocket.js> <words.js> <url>

import { createInterface } from "node:readline";

const [, , library, words, url] = process.argv;
Object.assign(globalThis, await import(library), await import(words), { url, my: {} });
const AsyncFunction = (async () => {}).constructor;
globalThis.said = [];
console.log = console.warn = console.error = (...values) => void said.push(values.map(String).join(" "));

for await (const line of createInterface({ input: process.stdin })) {
  const { code, given } = JSON.parse(line);
  let answer;
  try {
    answer = { value: (await new AsyncFunction("given", code)(given)) ?? null };
  } catch (error) {
    answer = { error: String(error?.stack ?? error) };
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
process.exit(0);
