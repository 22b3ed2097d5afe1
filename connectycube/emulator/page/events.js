// Events wait while the state is read: what was read may be older than they are.

let taker = () => {};
let reads = 0;
let waiting = [];

/** Call this function with the name and the data of each event. */
export function onEvents(work) {
  taker = work;
}

/** Pass an event on, at once or after what is being read. Exchanges have numbers, and need not wait. */
export function tell(name, data) {
  if (reads && name !== "exchange") waiting.push([name, data]);
  else taker(name, data);
}

/** Read a part of the state; events that come meanwhile are taken afterwards, in their order. */
export async function reading(work) {
  reads += 1;
  try {
    return await work();
  } finally {
    reads -= 1;
    if (!reads) {
      const events = waiting;
      waiting = [];
      for (const [name, data] of events) tell(name, data); // one of them may read again
    }
  }
}
