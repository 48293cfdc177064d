import type { Migration } from "./migrate.ts";

/** Characters of a row: at most three bytes each, so that a row stays below the two megabytes that one may have. */
const rowCharacters = 500_000;

/** A table of texts of any length, by name. */
export function longTexts(number: number): Migration {
  return {
    number,
    sql: "CREATE TABLE texts (name TEXT NOT NULL, place INTEGER NOT NULL, text TEXT NOT NULL, PRIMARY KEY (name, place))",
  };
}

/** Puts a text in the place of what had its name. */
export function putText(sql: SqlStorage, name: string, text: string): void {
  sql.exec("DELETE FROM texts WHERE name = ?", name);
  let place = 0;
  for (let from = 0; from < text.length || place === 0; place += 1) {
    // A pair of surrogates is one character, and half of it none.
    const isWithinPair = /[\ud800-\udbff]/.test(text.charAt(from + rowCharacters - 1));
    const to = from + rowCharacters - (isWithinPair ? 1 : 0);
    sql.exec("INSERT INTO texts (name, place, text) VALUES (?, ?, ?)", name, place, text.slice(from, to));
    from = to;
  }
}

/** The text of this name, or `undefined`. */
export function textOf(sql: SqlStorage, name: string): string | undefined {
  const rows = sql.exec<{ text: string }>("SELECT text FROM texts WHERE name = ? ORDER BY place", name).toArray();
  return rows.length === 0 ? undefined : rows.map((row) => row.text).join("");
}
