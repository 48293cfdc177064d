import { DurableObject } from "cloudflare:workers";
import { z } from "zod";
import { accountIdSchema, keyIdSchema } from "../../core/ids.ts";
import { conversationKey } from "../../core/node-pool/conversation-key.ts";
import { Refusal } from "../../core/refusal.ts";
import { type ChatMessage, chatInputSchema, chatMessageSchema } from "../../core/wire/task-input.ts";
import { admit, findModelOf } from "../admit.ts";
import { AnswerReader } from "../answer-reader.ts";
import type { Env } from "../env.ts";
import { networkOf } from "../openai/answer-fields.ts";
import {
  answerTurn,
  endedBody,
  failedBody,
  openBody,
  outputOf,
  type ResponseBody,
  type ResponseHead,
} from "../responses/response-body.ts";
import { trustPolicies } from "../trust/trust-policy.ts";
import type { TrustedRun } from "../trust/trusted-run.ts";
import { longTexts, putText, textOf } from "./long-text.ts";
import { isMigrated, migrate } from "./migrate.ts";

/** As OpenAI keeps them. */
const keptMs = 30 * 24 * 3_600_000;
/** A background response whose work failed by our own fault is begun anew so often. */
const mostTries = 3;

const headSchema = z.object({
  id: z.string(),
  createdAtMs: z.int(),
  model: z.string(),
  echo: z.record(z.string(), z.unknown()),
});
const bodySchema = z.looseObject({ id: z.string(), status: z.string() });

/** Work that goes on without its caller. */
const workSchema = z.object({
  principal: z.object({ accountId: accountIdSchema, keyId: keyIdSchema }),
  head: headSchema,
  input: chatInputSchema,
  /** Absent in work that was begun before there were policies. */
  wishes: z
    .object({ trust: z.enum(trustPolicies).optional(), wantsEvidence: z.boolean() })
    .default({ wantsEvidence: false }),
  tries: z.int().default(0),
});

/** A response as it is kept. */
export interface StoredResponse {
  body: ResponseBody;
  /** Its own input, as it is listed. */
  inputItems: readonly object[];
  /** The whole conversation up to its answer, without instructions. */
  turns: readonly ChatMessage[];
}

/** The work of a background response, as its request asks for it. */
export type BackgroundWork = Omit<z.input<typeof workSchema>, "tries">;

/** One stored response, for as long as it is kept; and the work itself where nobody waits for it. */
export class ResponseObject extends DurableObject<Env> {
  readonly #sql = this.ctx.storage.sql;
  #isKnown = isMigrated(this.ctx.storage);
  #run: TrustedRun | undefined;

  /** Keeps a response that is over, or that is yet to be worked on (`work`). The same may come twice. */
  async save(accountId: string, stored: StoredResponse, work?: BackgroundWork): Promise<void> {
    migrate(this.ctx.storage, [longTexts(1)]);
    this.#isKnown = true;
    putText(this.#sql, "account", accountId);
    putText(this.#sql, "input", JSON.stringify(stored.inputItems));
    this.#put(stored.body, stored.turns);
    if (work !== undefined) putText(this.#sql, "work", JSON.stringify({ ...work, tries: 0 }));
    await this.ctx.storage.setAlarm(work === undefined ? Date.now() + keptMs : Date.now());
  }

  /** What is kept, or `undefined` where there is nothing that belongs to this account. */
  read(accountId: string): StoredResponse | undefined {
    if (!this.#isKnown || textOf(this.#sql, "account") !== accountId) return undefined;
    const turns = z.array(chatMessageSchema).parse(this.#json("turns"));
    return { body: this.#body(), inputItems: z.array(z.looseObject({})).parse(this.#json("input")), turns };
  }

  /** Forgets it, and stops its work. False where there was nothing of this account. */
  async remove(accountId: string): Promise<boolean> {
    if (this.read(accountId) === undefined) return false;
    this.#run?.cancel();
    await this.#forget();
    return true;
  }

  /** Stops a background response; one that is over stays as it is. `undefined` where there is nothing of this account. */
  async cancel(accountId: string): Promise<ResponseBody | undefined> {
    const stored = this.read(accountId);
    if (stored === undefined) return undefined;
    if (!this.#isOpen()) return stored.body;
    const body = { ...stored.body, status: "cancelled" };
    this.#put(body, stored.turns);
    this.#sql.exec("DELETE FROM texts WHERE name = 'work'");
    this.#run?.cancel();
    return body;
  }

  /** Works inside the alarm: the platform rings again where the object was reset meanwhile. */
  override async alarm(): Promise<void> {
    if (!this.#isKnown) return;
    const work = this.#json("work");
    if (work === undefined) {
      await this.#forget();
      return;
    }
    await this.#work(workSchema.parse(work));
    await this.ctx.storage.setAlarm(Date.now() + keptMs);
  }

  async #work(work: z.output<typeof workSchema>): Promise<void> {
    const { head } = work;
    putText(this.#sql, "work", JSON.stringify({ ...work, tries: work.tries + 1 }));
    const turns = z.array(chatMessageSchema).parse(this.#json("turns"));
    this.#put(openBody(head, "in_progress"), turns);
    let body: ResponseBody;
    let said: ChatMessage[] = [];
    try {
      const answered = await this.#answer(work, head);
      body = answered.body;
      said = answered.said;
    } catch (error) {
      if (!(error instanceof Refusal) && work.tries + 1 < mostTries) throw error;
      body = failedBody(head, error instanceof Refusal ? error.message : "Something went wrong on our side.");
    }
    // It was cancelled or deleted meanwhile.
    if (!this.#isKnown || !this.#isOpen()) return;
    this.#put(body, [...turns, ...said]);
    this.#sql.exec("DELETE FROM texts WHERE name = 'work'");
  }

  async #answer(
    { principal, input, wishes }: z.output<typeof workSchema>,
    head: ResponseHead,
  ): Promise<{ body: ResponseBody; said: ChatMessage[] }> {
    const model = await findModelOf("chat", head.model, this.env);
    const affinity = conversationKey({ accountId: principal.accountId, messages: input.messages });
    const { trust, wantsEvidence } = wishes;
    const run = admit({
      asked: {
        ...{ env: this.env, principal, signal: new AbortController().signal },
        waitUntil: (promise) => this.ctx.waitUntil(promise),
      },
      ...{ model, input, affinity, isWhole: true },
      wishes: { wantsEvidence, ...(trust === undefined ? {} : { trust }) },
    });
    this.#run = run;
    try {
      await run.begin();
      const answer = await new AnswerReader(run, { input }).whole();
      const output = outputOf(head.id, answer);
      return { body: endedBody(head, { output, end: answer, network: networkOf([run]) }), said: [answerTurn(answer)] };
    } finally {
      this.#run = undefined;
    }
  }

  #put(body: ResponseBody, turns: readonly ChatMessage[]): void {
    putText(this.#sql, "body", JSON.stringify(body));
    putText(this.#sql, "turns", JSON.stringify(turns));
  }

  #body(): ResponseBody {
    return bodySchema.parse(this.#json("body"));
  }

  #isOpen(): boolean {
    return ["queued", "in_progress"].includes(this.#body().status);
  }

  #json(name: string): unknown {
    const text = textOf(this.#sql, name);
    return text === undefined ? undefined : JSON.parse(text);
  }

  async #forget(): Promise<void> {
    this.#isKnown = false;
    await this.ctx.storage.deleteAlarm();
    await this.ctx.storage.deleteAll();
  }
}
