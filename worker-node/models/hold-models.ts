import { catalogue, findCatalogueModel } from "../../core/model/catalogue.ts";
import { type ModelsCommand, pullModel } from "./models-command.ts";
import { listModels, type ResolvedModel, resolveModel } from "./store.ts";

/**
 * The models a node is to serve, all of them on disk: those named (a catalogue's is pulled where it is missing, a path
 * is added), or all that this machine holds, or the whole catalogue where it holds none. Throws `ModelError`.
 */
export async function holdModels({
  names,
  ...command
}: ModelsCommand & { names: readonly string[] }): Promise<ResolvedModel[]> {
  const { cacheDir } = command;
  if (names.length === 0) {
    const held = await heldModels({ cacheDir });
    if (held.length > 0) return held;
  }
  const models: ResolvedModel[] = [];
  for (const name of names.length > 0 ? names : catalogue.map((model) => model.name)) {
    if (findCatalogueModel(name) !== undefined && !(await isHeld(name, cacheDir)))
      await pullModel({ ...command, name });
    models.push(await resolveModel(name, { cacheDir }));
  }
  return models;
}

/** Every model whose file is here and unchanged. */
export async function heldModels({ cacheDir }: { cacheDir: string }): Promise<ResolvedModel[]> {
  const listed = (await listModels({ cacheDir })).filter((model) => model.state === "held");
  return Promise.all(listed.map((model) => resolveModel(model.name, { cacheDir })));
}

async function isHeld(name: string, cacheDir: string): Promise<boolean> {
  return (await listModels({ cacheDir })).some((model) => model.name === name && model.state === "held");
}
