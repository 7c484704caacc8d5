// Numbers, shares, money, ages and times → texts in the reader's language and the site's time.

const NS_PER_MS = 1e6;
const SHIFTS = new Map(); // hour → how far the site's clock is from UTC then [ms]
const LARGER = {kW: "MW", kWh: "MWh", kg: "t", "kg/h": "t/h"}; // each a thousand
const LARGE = 10_000;

export function createFormat(t, zone) {
  const locale = t.language;
  const dates = (options) => new Intl.DateTimeFormat(locale, {timeZone: zone, hourCycle: "h23", ...options});
  const clock = dates({hour: "2-digit", minute: "2-digit", second: "2-digit"});
  const minute = dates({hour: "2-digit", minute: "2-digit"});
  const day = dates({year: "numeric", month: "short", day: "numeric"});
  const dayMinute = dates({month: "short", day: "numeric", hour: "2-digit", minute: "2-digit"});
  const full = dates({year: "numeric", month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", second: "2-digit"});
  const parts = dates({year: "numeric", month: "numeric", day: "numeric", hour: "numeric", minute: "numeric", second: "numeric"});
  const at = (ns) => new Date(ns / NS_PER_MS);
  const none = t("page.shell.no_value");
  const is = (value) => value !== null && value !== undefined && Number.isFinite(value);
  const plain = (value, digits) => new Intl.NumberFormat(locale, digits).format(value);

  // Three digits that mean something; whole numbers from a hundred on.
  function number(value) {
    if (!is(value)) return none;
    const size = Math.abs(value);
    if (size >= 99.95) return plain(value, {maximumFractionDigits: 0});
    return plain(value, {minimumSignificantDigits: size === 0 ? 1 : 3, maximumSignificantDigits: 3});
  }
  const whole = (value) => plain(value, {maximumFractionDigits: 3});
  const unit = (name) => (name === "1" || !name ? "" : t.maybe(`units.${name}`) ?? name);
  // [text, unit], in a thousand times larger unit where the number would be long
  function amount(value, name) {
    const larger = is(value) && Math.abs(value) >= LARGE ? LARGER[name] : null;
    return larger ? [number(value / 1000), unit(larger)] : [number(value), unit(name)];
  }
  const quantity = (value, name) => amount(value, name).filter(Boolean).join(" ");

  // A number someone has written, as he wrote it
  const exact = (value, name) => [whole(value), unit(name)].filter(Boolean).join(" ");

  function share(value) {
    if (!is(value)) return none;
    return plain(value, {style: "percent", maximumFractionDigits: Math.abs(value) < 0.0995 ? 1 : 0});
  }
  function change(value) {
    return is(value) ? plain(value, {style: "percent", maximumFractionDigits: 0, signDisplay: "exceptZero"}) : none;
  }
  function money(value, currency) {
    if (!is(value)) return none;
    const fraction = Math.abs(value) >= 100 ? 0 : 2;
    const digits = {minimumFractionDigits: fraction, maximumFractionDigits: fraction};
    return plain(value, {style: "currency", currency, currencyDisplay: "narrowSymbol", ...digits});
  }

  function age(seconds) {
    if (!is(seconds)) return none;
    const s = Math.max(0, seconds);
    if (s < 99.5) return t("ages.s", {n: Math.round(s)});
    if (s < 5_970) return t("ages.min", {n: Math.round(s / 60)});
    if (s < 172_800) return t("ages.h", {n: Math.round(s / 3_600)});
    return t("ages.d", {n: plain(Math.round(s / 86_400), {})});
  }

  const sameDay = (a, b) => day.format(at(a)) === day.format(at(b));
  // The clock alone for today, with the day for any other
  const moment = (ns, nowNs) => (is(ns) ? (sameDay(ns, nowNs) ? clock : dayMinute).format(at(ns)) : none);

  // Milliseconds of a chart's axis that reads as UTC: the site's clock at that instant.
  function wall(ns) {
    const ms = ns / NS_PER_MS;
    const hour = Math.floor(ms / 3.6e6);
    if (!SHIFTS.has(hour)) {
      const found = Object.fromEntries(parts.formatToParts(hour * 3.6e6).map((p) => [p.type, Number(p.value)]));
      const local = Date.UTC(found.year, found.month - 1, found.day, found.hour, found.minute, found.second);
      SHIFTS.set(hour, local - hour * 3.6e6);
    }
    return ms + SHIFTS.get(hour);
  }

  // What a clock of the site shows, `2026-03-01T08:00`, as milliseconds since 1970
  function fromWall(text) {
    const shown = Date.parse(`${text}Z`);
    const near = shown - (wall(shown * NS_PER_MS) - shown);
    return shown - (wall(near * NS_PER_MS) - near);
  }
  // The same moment of a chart's axis as text
  const walls = new Intl.DateTimeFormat(locale, {timeZone: "UTC", hourCycle: "h23", month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", second: "2-digit"});
  const wallTime = (ms) => walls.format(ms);

  return {
    number, whole, exact, unit, amount, quantity, share, change, money, age, moment, wall, wallTime, fromWall, zone, locale,
    clock: (ns) => clock.format(at(ns)), minute: (ns) => minute.format(at(ns)),
    day: (ns) => day.format(at(ns)), time: (ns) => full.format(at(ns)),
  };
}
