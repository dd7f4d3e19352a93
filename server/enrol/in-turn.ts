/** Steps one after another: what looks at a record and then writes it must not see another do so in between. */

/** Runs a step once those before it are over, however they ended; settles as the step does. */
export type InTurn = <T>(step: () => Promise<T>) => Promise<T>;

/** Makes a queue. */
export function createTurns(): InTurn {
  let last: Promise<unknown> = Promise.resolve();
  return (step) => {
    const turn = last.then(step, step);
    last = turn;
    return turn;
  };
}
