// A reading and an expected value in; whether the one may be the other, perhaps a power of ten away, out.

const SHARE = 0.02; // a display and a register are not read at the same instant
const LEAST = 0.005;
const POWERS = [0, 1, -1, 2, -2, 3, -3]; // more would find something near anything

/** Return {power}: `value · 10^power` is within 2 % of what is expected; null where none is, or for nothing. */
export function near(value, expected) {
  if (value === null || value === undefined || !Number.isFinite(value)) return null;
  if (expected === 0) return Math.abs(value) < LEAST ? {power: 0} : null;
  const power = POWERS.find((n) => Math.abs(value * 10 ** n - expected) <= SHARE * Math.abs(expected));
  return power === undefined ? null : {power};
}
