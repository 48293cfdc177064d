import { z } from "zod";

const issuedSchema = z.object({
  id: z.string(),
  account: z.string(),
  name: z.string(),
  key: z.string().optional(),
  token: z.string().optional(),
});
export type Issued = z.infer<typeof issuedSchema>;

const listSchema = z.object({ data: z.array(z.record(z.string(), z.union([z.string(), z.number(), z.null()]))) });
const errorSchema = z.object({ error: z.object({ message: z.string() }) });

/** A router's admin API (`/v1/admin`), with its admin key. Failed calls throw an `Error` with the router's own message. */
export class RouterAdmin {
  readonly #origin: string;
  readonly #adminKey: string;

  /** `origin` as `https://router.example`. */
  constructor(origin: string, adminKey: string) {
    this.#origin = origin;
    this.#adminKey = adminKey;
  }

  /** Draws a key (`keys`) or an invite (`invites`); its secret is in `key` or `token`, told this once. */
  async create(what: "keys" | "invites", order: object): Promise<Issued> {
    return issuedSchema.parse(await this.#call("POST", what, order));
  }

  /** The newest 1,000, without their secrets. */
  async list(what: "keys" | "invites"): Promise<z.infer<typeof listSchema>["data"]> {
    return listSchema.parse(await this.#call("GET", what)).data;
  }

  /** Ends one. */
  async revoke(what: "keys" | "invites", id: string): Promise<void> {
    await this.#call("DELETE", `${what}/${encodeURIComponent(id)}`);
  }

  async #call(method: string, path: string, body?: object): Promise<unknown> {
    const response = await fetch(`${this.#origin}/v1/admin/${path}`, {
      method,
      headers: { authorization: `Bearer ${this.#adminKey}` },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    // What stands before a router, or a wrong address, may answer with a page: its status says more than its text.
    const json: unknown = await response.json().catch(() => undefined);
    if (response.ok) return json;
    const problem = errorSchema.safeParse(json);
    throw new Error(problem.success ? problem.data.error.message : `The router answered ${response.status}.`);
  }
}
