import { accountIdSchema, attemptIdSchema, modelHashSchema, nodeIdSchema, taskIdSchema } from "../ids.ts";
import { limits } from "../limits.ts";
import { modelNameSchema } from "../model/model-card.ts";
import type { HelloFrame, NodeFrame } from "./node-frame.ts";
import type { RouterFrame } from "./router-frame.ts";

/**
 * The key of RFC 8032 §7.1, test 1, as PKCS #8 in base64url: everybody knows it, so the example can be signed again,
 * and no node may use it.
 */
export const examplePrivateKey = "MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v_VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g";

const nodeId = nodeIdSchema.parse("node_47z33qx1ajh62rkbz1a08vyj4wdqqvab");
const taskId = taskIdSchema.parse("task_7q2m5x9c4v8b1n6k3j0h4g8f2d");
const attemptId = attemptIdSchema.parse("attempt_0z3x6c9v2b5n8m1q4w7e0r3t6y");
const endedAttemptId = attemptIdSchema.parse("attempt_5h1k8d3s6f9g2j4m7p0r5t8w1x");
const model = modelHashSchema.parse("b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53");
const nonce = "3q2-7wAAECkzPUdRW2VveYONl6GrtbvFz9nj7fcBCxU";

/** One example of each frame a router sends: what the docs show and the tests parse. */
export const routerFrameExamples: { readonly [Type in RouterFrame["type"]]: Extract<RouterFrame, { type: Type }> } = {
  challenge: { type: "challenge", protocols: [4], nonce },
  welcome: {
    type: "welcome",
    protocol: 4,
    nodeId,
    epoch: 3,
    operator: accountIdSchema.parse("k3j9q1w5e7r2"),
    heartbeatMs: limits.heartbeatMs,
    busyHeartbeatMs: limits.busyHeartbeatMs,
    resumeToken: "p8wZ3k1vQm6yT0bXe4Lr9A",
    leases: [{ attemptId, nextSeq: 12 }],
  },
  reject: {
    type: "reject",
    code: "invalid_invite",
    message: "This invite has expired. Ask the router's admin for a new one.",
  },
  task: {
    type: "task",
    taskId,
    attemptId,
    model,
    input: {
      kind: "chat",
      messages: [
        { role: "system", content: "You are a helpful assistant." },
        { role: "user", content: "What is the capital of France?" },
      ],
      sampling: {
        temperature: 0,
        topP: 1,
        frequencyPenalty: 0,
        presencePenalty: 0,
        seed: 1_234_567,
        stop: [],
        maxTokens: 64,
      },
    },
  },
  cancel: { type: "cancel", attemptId },
  resume: { type: "resume", attemptId, nextSeq: 12 },
  acked: { type: "acked", items: [{ attemptId, nextSeq: 12 }], over: [endedAttemptId] },
  standing: {
    type: "standing",
    model,
    kind: "serving",
    text: "This node has room and gets work: 12 of the 40 tasks of the last minute came here.",
  },
  drain: { type: "drain", reason: "This region is about to be moved." },
  heartbeat: { type: "heartbeat" },
};

/** One example of each frame a node sends. */
export const nodeFrameExamples: { readonly [Type in NodeFrame["type"]]: Extract<NodeFrame, { type: Type }> } = {
  hello: {
    type: "hello",
    protocol: 4,
    nodeId,
    publicKey: "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
    signature: "W03uSlP6r3ppPUUQnmxMjteXnmcEsMMRTwZrlSRPDO9rOs_7DsCfy08hMfSpCc7ONlkZI0unmgSo0-ZI56DbBw",
    host: "router.example",
    invite: "inv-k3j9q1w5e7r2-0123456789abcdefghjkmnpqrstvwxyz",
    name: "attic-box",
    software: "my-node/1.0.0",
    engine: "llama.cpp b6200",
    hardware: {
      platform: "linux",
      arch: "x64",
      cpuModel: "AMD Ryzen 7 5800X",
      cores: 16,
      memoryBytes: 34_359_738_368,
      gpu: { type: "cuda", names: ["NVIDIA GeForce RTX 3090"], vramBytes: 25_769_803_776 },
    },
    models: [
      {
        name: modelNameSchema.parse("smollm2-135m-instruct"),
        fileSha256: model,
        kind: "chat",
        sizeBytes: 98_362_432,
        quantization: "Q4_1",
        architecture: "llama",
        contextTokens: 8_192,
        slots: 4,
        tokensPerSecond: 212.5,
      },
    ],
  },
  pull: { type: "pull", model, creditsTotal: 4 },
  ack: { type: "ack", attemptId, promptTokens: 31 },
  delta: { type: "delta", items: [{ attemptId, seq: 0, text: "The capital", tokenIds: [504, 3_575] }] },
  commit: { type: "commit", attemptId, finishReason: "stop", promptTokens: 31, completionTokens: 8 },
  fail: {
    type: "fail",
    attemptId,
    reason: { code: "context_length_exceeded", promptTokens: 9_000, contextTokens: 8_192, inputIndex: 0 },
  },
  status: { type: "status", state: "draining", running: 2 },
  drained: { type: "drained" },
  heartbeat: { type: "heartbeat" },
};

/** What a hello says besides when it brings a process back that holds an attempt: the welcome above answers it. */
export const resumeExample: NonNullable<HelloFrame["resume"]> = {
  token: routerFrameExamples.welcome.resumeToken,
  holding: [{ attemptId, firstSeq: 4, nextSeq: 15, completionTokens: 61, isOver: false, isEndSent: false }],
};
