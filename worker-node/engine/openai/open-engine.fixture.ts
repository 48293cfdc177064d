import type { LoadedModel } from "../../load-engines.ts";
import { loadUpstreamEngines, type UpstreamOptions } from "../../load-upstream-engines.ts";
import type { UpstreamServer } from "./upstream-server.fixture.ts";

/** Opens the model of a server as `start` does, and what was said meanwhile; `folder` is where models are recorded. */
export async function openEngine(
  server: UpstreamServer,
  { folder, ...options }: { folder: string } & Partial<Omit<UpstreamOptions, "cacheDir" | "out">>,
): Promise<LoadedModel & { software: string; said: string[] }> {
  const said: string[] = [];
  const { software, models } = await loadUpstreamEngines({
    ...{ url: server.url, key: undefined, modelFile: undefined, models: [], slots: 4, contextTokens: 8_192 },
    ...options,
    cacheDir: folder,
    out: (line) => said.push(line),
  });
  const [model] = models;
  if (model === undefined) throw new Error("the upstream has no model");
  return { ...model, software, said };
}
