/**
 * Limits that hold everywhere. Each is enforced where the thing enters, and a limit hit is a named refusal.
 * Sources: the project's design unless a line says otherwise.
 */
export const limits = {
  bodyBytes: 4 * 1024 * 1024,
  /** An uploaded file. */
  fileBytes: 100 * 1024 * 1024,
  frameBytes: 8 * 1024 * 1024,
  messages: 2_048,
  /** Characters of all messages together. The body limit bounds it already; this one names the prompt. */
  promptCharacters: 2_000_000,
  /** OpenAI's own bound on the `input` array of embeddings. */
  embeddingInputs: 2_048,
  /** How deep the values of a body may be nested; OpenAI's own bound on a schema is far below it. */
  jsonDepth: 64,
  /** Requests of a batch (OpenAI's own bound), characters of one, and how many are asked at once. */
  batchLines: 50_000,
  batchLineCharacters: 4 * 1024 * 1024,
  batchTasks: 16,
  /** OpenAI's own bounds on these. */
  tools: 128,
  topLogprobs: 20,
  logitBias: 1_024,
  choices: 8,
  /** Prompts of a text completion times its choices. */
  completions: 64,
  /** Token ids of a prompt that is given as such. */
  promptTokens: 1_000_000,
  stopSequences: 4,
  stopSequenceCharacters: 256,
  ticketsPerPool: 10_000,
  queueWaitMs: 30_000,
  ackMs: 5_000,
  /** Longest silence of a node that has acked, before it is given up: prefill of a long prompt on a CPU is slow. */
  silenceMs: 120_000,
  /** Attempts in a row that bring nothing, and attempts in all. */
  barrenAttempts: 4,
  attemptsPerTask: 48,
  idleSocketMs: 60_000,
  heartbeatMs: 15_000,
  helloMs: 10_000,
  modelsPerNode: 64,
  slotsPerModel: 256,
  /** Attempts that a node may name at a hello, and an `acked` at once. */
  heldAttempts: 4_096,
  /** Bytes of an attempt's pieces that a node keeps to send again. */
  replayBytes: 256 * 1024,
  /** Token ids of a continued answer: the longest context of common models. */
  continuedTokens: 131_072,
  /** A lease without its socket lives on: this long where nobody reads it, this long where a reader waits. */
  leaseGraceMs: 30_000,
  attachedGraceMs: 2_000,
  /** A reader that is gone without a word may come back within this. */
  reattachMs: 5_000,
  /** While tasks run: how often a node gives a sign, and after what silence its socket counts as lost. */
  busyHeartbeatMs: 1_000,
  busySilenceMs: 3_000,
  /** A node whose socket broke keeps its place in the pools, without room, for this long. */
  awayMs: 10_000,
  /** A task under way waits this long for another node. */
  failoverWaitMs: 30_000,
  framesPerMessage: 4_096,
  outboxBatchEntries: 100,
  /** Text of one delta frame item. A tick's worth of tokens is far below it. */
  deltaCharacters: 1_000_000,
  nodesPerInvite: 1_000,
} as const;
