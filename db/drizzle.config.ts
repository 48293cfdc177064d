import { defineConfig } from "drizzle-kit";

/** `drizzle-kit generate --config db/drizzle.config.ts`, run at the root, writes the next migration. */
export default defineConfig({
  dialect: "postgresql",
  schema: "./db/schema/*.ts",
  out: "./db/migrations",
});
