import { expect, test } from "vitest";
import { answerHead, vectorsHead } from "../core/commitment/answer-chain.ts";
import { type CommitmentClaim, isCommitmentSigned, signCommitment } from "../core/commitment/sign-commitment.ts";
import { newNodeKey } from "../core/identity/node-key.ts";
import { attemptIdSchema, modelHashSchema, taskIdSchema } from "../core/ids.ts";
import { AnswerChain, claimSigner } from "./answer-commitment.ts";

const start = { taskId: taskIdSchema.parse("task_0001"), model: modelHashSchema.parse("a".repeat(64)) };

test("a chain made as the answer is has the head of the whole, at each of its links", async () => {
  const tokenIds = [0, 1, 255, 256, 65_536, 0xffff_ffff, ...Array.from({ length: 40 }, (_, index) => index * 7_919)];
  for (let cut = 0; cut <= tokenIds.length; cut += 3) {
    const chain = new AnswerChain(start);
    chain.addTokens(tokenIds.slice(0, cut));
    expect(chain.head).toBe(await answerHead(start, tokenIds.slice(0, cut)));
    chain.addTokens(tokenIds.slice(cut));
    expect(chain.head).toBe(await answerHead(start, tokenIds));
  }
});

test("a chain of vectors has the head of the whole", async () => {
  const vectors = [Uint8Array.of(1, 2, 3, 4), Uint8Array.of(5, 6, 7, 8)];
  const chain = new AnswerChain(start);
  for (const vector of vectors) chain.addVector(vector);
  expect(chain.head).toBe(await vectorsHead(start, vectors));
});

test("a claim that is signed at once is signed as anybody reads it", async () => {
  const key = await newNodeKey();
  const head = new AnswerChain(start).head;
  const attemptId = attemptIdSchema.parse("attempt_0001");
  const claim: CommitmentClaim = {
    ...{ ...start, attemptId, head, promptTokens: 7, answerTokens: 0, finishReason: "cancelled" },
  };
  const signature = claimSigner(key.privateKey)(claim);
  expect(signature).toBe(await signCommitment(claim, key.privateKey));
  expect(await isCommitmentSigned(claim, { publicKey: key.publicKey, signature })).toBe(true);
  const another = { ...claim, promptTokens: 8 };
  expect(await isCommitmentSigned(another, { publicKey: key.publicKey, signature })).toBe(false);
});
