import { DirectoryInUse } from "./directory-lock.ts";
import { type PostgresEndpoint, startPostgresEndpoint } from "./endpoint.ts";
import { type Flags, readFlags } from "./flags.ts";

const read = readFlags(process.argv.slice(2));
if (read.ok) {
  await run(read.flags);
} else {
  console.error(read.problem);
  process.exitCode = 2;
}

/** Runs until it is told to stop, then ends the process: status 0 where it was stopped, 1 where it could not go on. */
async function run(flags: Flags): Promise<void> {
  let starting: Promise<PostgresEndpoint> | undefined;
  let isStopping = false;
  const stop = async () => {
    if (isStopping) return;
    isStopping = true;
    // A start that is under way ends first: it may be in the midst of making the database.
    const endpoint = await starting?.catch(() => undefined);
    await endpoint?.close();
    process.exit(endpoint === undefined ? 1 : 0);
  };
  process.on("SIGTERM", stop);
  process.on("SIGINT", stop);
  if (flags["exit-with-parent"]) process.stdin.on("close", stop).resume();
  try {
    starting = startPostgresEndpoint({
      dataDir: flags.data,
      port: flags.port,
      password: flags.password,
      onBreakdown: (cause) => {
        console.error("Postgres broke down; start it again, and it recovers what was committed.", cause);
        process.exit(1);
      },
    });
    const { port } = await starting;
    console.log(JSON.stringify({ ready: true, port }));
  } catch (error) {
    if (error instanceof DirectoryInUse) console.error(error.message);
    else if (isPortTaken(error)) console.error(`Port ${flags.port} is taken; choose another, or 0 for any free one.`);
    else console.error(error);
    process.exit(1);
  }
}

function isPortTaken(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "EADDRINUSE";
}
