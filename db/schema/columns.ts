import { customType } from "drizzle-orm/pg-core";
import { z } from "zod";
import { storableText } from "../storable-text.ts";

/** The last millisecond of the year 9999: later ones have no ISO form that Postgres reads ("never" as a huge number). */
const latestMs = Date.UTC(9999, 11, 31, 23, 59, 59, 999);

/** A `text` column that makes what is written to it storable ({@link storableText}), so that no caller can forget to. */
export const text = customType<{ data: string; driverData: string }>({
  dataType: () => "text",
  toDriver: storableText,
});

/**
 * A `timestamptz` of millisecond precision that reads and writes milliseconds since the epoch.
 * Times past the year 9999 are stored as its last millisecond.
 */
export const timeMs = customType<{ data: number; driverData: string }>({
  dataType: () => "timestamp(3) with time zone",
  toDriver: (ms) => new Date(Math.min(ms, latestMs)).toISOString(),
  fromDriver: (value) => new Date(value).getTime(),
});

const jsonValue = z.json();

/**
 * A `jsonb` column. The driver has parsed what it reads; what is written is made storable like {@link text}, since
 * Postgres refuses the character 0 inside JSON strings as well.
 */
export const jsonb = customType<{ data: unknown; driverData: unknown }>({
  dataType: () => "jsonb",
  toDriver: (value) =>
    JSON.stringify(value, (_key, part: unknown) => (typeof part === "string" ? storableText(part) : part)),
  fromDriver: (value) => jsonValue.parse(typeof value === "string" ? JSON.parse(value) : value),
});
