// The texts of the chat page: versions that branch from one another, none of which is lost.

let last = 0;

/**
 * One version of one piece of writing. `said` is the prompt or the message it answers, `turn` the
 * version of the turn before (in a conversation), `from` the version it branches from at token
 * number `at`; its first `at` tokens are that version's. `sample` tells it from others of its seed.
 */
export function version(said, { turn = null, from = null, at = 0, tokens = [], sample = 0 } = {}) {
  last += 1;
  return { id: last, said, turn, from, at, sample, tokens: [...tokens], finish: null, seed: null };
}

/** The versions of the turns up to and with `one`, the first first. */
export function conversation(one) {
  const turns = [];
  for (let turn = one; turn; turn = turn.turn) turns.unshift(turn);
  return turns;
}

/** What follows: the versions that branch from `one` or answer it, in the order they were made. */
export const after = (all, one) => all.filter(other => other.from === one || (other.turn === one && !other.from));

export const roots = all => all.filter(one => !one.from && !one.turn);
