import { resolve } from "node:path";
import { Command } from "commander";
import { RouterAdmin } from "./router-admin.ts";
import { readRunning } from "./state.ts";

/** What a deployment is administered by: `CORTENSOR_URL` and `CORTENSOR_ADMIN_KEY`, else the devnet that runs here. */
function findRouter(): RouterAdmin {
  const { CORTENSOR_URL, CORTENSOR_ADMIN_KEY } = process.env;
  if (CORTENSOR_URL !== undefined && CORTENSOR_ADMIN_KEY !== undefined) {
    return new RouterAdmin(new URL(CORTENSOR_URL).origin, CORTENSOR_ADMIN_KEY);
  }
  const running = readRunning(resolve(import.meta.dirname, "../.devnet"));
  if (running !== undefined) return new RouterAdmin(new URL(running.baseUrl).origin, running.adminKey);
  throw new Error(
    "There is no router to administer: set CORTENSOR_URL and CORTENSOR_ADMIN_KEY to a deployment's, or run npm start here.",
  );
}

const nouns = {
  keys: { what: "API keys", secret: "key" },
  invites: { what: "invites by which nodes join", secret: "token" },
} as const;

const program = new Command("npm run admin --")
  .description("Administers a router: keys and invites.")
  .showHelpAfterError();

for (const [noun, { what, secret }] of Object.entries(nouns)) {
  if (noun !== "keys" && noun !== "invites") continue;
  const command = program.command(noun).description(what);
  const create = command
    .command("create")
    .description("draw one; its secret is shown this once")
    .option("--name <name>", "what to call it", "unnamed")
    .option("--account <id>", "the account it belongs to; a new one unless given");
  if (noun === "invites") {
    create.option("--nodes <n>", "how many nodes may join by it", "1").option("--days <n>", "ends after so many days");
  }
  create.action(async (flags: { name: string; account?: string; nodes?: string; days?: string }) => {
    const issued = await findRouter().create(noun, {
      name: flags.name,
      ...(flags.account === undefined ? {} : { account: flags.account }),
      ...(flags.nodes === undefined ? {} : { max_nodes: Number(flags.nodes) }),
      ...(flags.days === undefined ? {} : { expires_in_seconds: Math.round(Number(flags.days) * 86_400) }),
    });
    console.log(`id       ${issued.id}\naccount  ${issued.account}\n${secret.padEnd(9)}${issued.key ?? issued.token}`);
  });
  command
    .command("list")
    .description("those there are, newest first")
    .action(async () => {
      const rows = await findRouter().list(noun);
      if (rows.length === 0) console.log(`There are no ${noun} yet.`);
      else console.table(rows.map(({ object: _object, ...row }) => withDates(row)));
    });
  command
    .command("revoke <id>")
    .description("end one; effective everywhere within 30 seconds")
    .action(async (id: string) => {
      await findRouter().revoke(noun, id);
      console.log(`${id} is revoked.`);
    });
}

/** Fields that end in `_at` are seconds since the epoch; people read dates. */
function withDates(row: Record<string, string | number | null>): Record<string, string | number | null> {
  return Object.fromEntries(
    Object.entries(row).map(([key, value]) =>
      key.endsWith("_at") && typeof value === "number" ? [key, new Date(value * 1_000).toISOString()] : [key, value],
    ),
  );
}

try {
  await program.parseAsync(process.argv);
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exit(1);
}
