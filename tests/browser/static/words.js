// What the tests in JavaScript share, in a page and in Node.

const random = Math.random;
Math.random = () => random() / 1000; // the shortest pauses between attempts to connect

const now = Date.now;
let skipped = 0;
Date.now = () => now() + skipped;
/** Let the clock go forward, as that of a machine that has slept; timers have slept, too. */
export const skip = (seconds) => void (skipped += seconds * 1000);

export const sleep = (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000));

/** Wait until a test holds; return what it returned. */
export async function until(test, seconds = 15) {
  for (const end = Date.now() + seconds * 1000; ; await sleep(0.005)) {
    const found = await test();
    if (found) return found;
    if (Date.now() > end) throw new Error(`waited in vain until ${test}`);
  }
}

/** Return the code of the error that a promise fails with. */
export async function failure(promise) {
  try {
    return { value: await promise };
  } catch (error) {
    return { name: error.name, code: error.code, path: error.path, message: error.message };
  }
}

/** Note all states of a socket. */
export function states(socket) {
  const seen = [];
  socket.onState(({ state, code, outcome }) => seen.push([state, outcome ?? code ?? null]));
  return seen;
}

export const whenOpen = (socket) => until(() => socket.state === "open");
