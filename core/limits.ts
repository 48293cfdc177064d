/**
 * Limits that hold everywhere. Each is enforced where the thing enters, and a limit hit is a named refusal.
 * Sources: the project's design unless a line says otherwise.
 */
export const limits = {
  bodyBytes: 4 * 1024 * 1024,
  frameBytes: 8 * 1024 * 1024,
  messages: 2_048,
  /** Characters of all messages together. The body limit bounds it already; this one names the prompt. */
  promptCharacters: 2_000_000,
  /** OpenAI's own bound on the `input` array of embeddings. */
  embeddingInputs: 2_048,
  stopSequences: 4,
  stopSequenceCharacters: 256,
  ticketsPerPool: 10_000,
  queueWaitMs: 30_000,
  ackMs: 5_000,
  /** Longest silence of a node that has acked, before it is given up: prefill of a long prompt on a CPU is slow. */
  silenceMs: 120_000,
  attemptsPerTask: 4,
  idleSocketMs: 60_000,
  heartbeatMs: 15_000,
  helloMs: 10_000,
  modelsPerNode: 64,
  slotsPerModel: 256,
  outboxBatchRows: 500,
  /** Text of one delta frame item. A tick's worth of tokens is far below it. */
  deltaCharacters: 1_000_000,
  nodesPerInvite: 1_000,
} as const;
