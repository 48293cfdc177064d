import { createHash } from "node:crypto";
import { newNodeKey } from "../../core/identity/node-key.ts";
import { modelHashSchema } from "../../core/ids.ts";
import { type ModelCard, modelNameSchema } from "../../core/model/model-card.ts";
import { RouterConnection } from "../../worker-node/connection/router-connection.ts";
import { TaskRunner } from "../../worker-node/task-runner.ts";
import { type MockModel, mockPacesMs } from "./mock-answer.ts";
import { MockEngine } from "./mock-engine.ts";

export interface MockNodeOptions {
  routerUrl: URL;
  invite: string;
  name: string;
  models: readonly MockModel[];
  slots: number;
  /** The router took it in, again where it was lost. */
  onWelcome: () => void;
  /** That socket is gone, and another is being dialled. */
  onLost: () => void;
  /** A run was stopped before its end; `prompt` is its last message. */
  onStopped: (prompt: string) => void;
}

/**
 * Runs one node on the product's own connection and task runner, with an engine that only pretends. Stays connected
 * until the process ends; rejects where the router's no is final.
 */
export async function runMockNode(options: MockNodeOptions): Promise<void> {
  const { routerUrl, invite, name, slots, onWelcome, onLost, onStopped } = options;
  const models = options.models.map((model) => ({
    card: cardOf(model, slots),
    engine: new MockEngine({
      paceMs: mockPacesMs[model],
      onStopped: ({ messages }) => onStopped(messages.at(-1)?.content ?? ""),
    }),
  }));
  const key = await newNodeKey();
  const connection: RouterConnection = new RouterConnection({
    routerUrl,
    key,
    details: {
      invite,
      name,
      software: "bench",
      engine: "mock",
      hardware: { platform: "linux", arch: "x64", cpuModel: "mock", cores: 1, memoryBytes: 1, gpu: null },
      models: models.map(({ card }) => card),
    },
    events: {
      onWelcome: (welcome) => {
        tasks.open(welcome);
        onWelcome();
      },
      onFrame: (frame) => {
        if (frame.type === "task") tasks.take(frame);
        else if (frame.type === "cancel") tasks.cancel(frame);
        else if (frame.type === "resume") tasks.resume(frame);
        else if (frame.type === "acked") tasks.acked(frame);
      },
      onLost: ({ wasWelcomed }) => {
        tasks.lost();
        if (wasWelcomed) onLost();
      },
    },
    work: { holding: () => tasks.holding(), isBusy: () => tasks.runningCount > 0 },
  });
  const tasks = new TaskRunner({
    models: models.map(({ card, engine }) => ({ ...card, engine })),
    privateKey: key.privateKey,
    send: (frame) => connection.send(frame),
    onFinished: () => {},
  });
  await connection.run();
}

/** A card as a real model's; the hash stands for a file that is not there. */
function cardOf(model: MockModel, slots: number): ModelCard {
  return {
    name: modelNameSchema.parse(model),
    fileSha256: modelHashSchema.parse(createHash("sha256").update(model).digest("hex")),
    kind: "chat",
    sizeBytes: 1,
    quantization: "MOCK",
    architecture: "mock",
    contextTokens: 131_072,
    slots,
    tokensPerSecond: 1_000,
    // What a mock says nobody can check: what is measured here is the way of an answer that is not chosen.
    decoding: "own",
  };
}
