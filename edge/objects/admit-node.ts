import { hashSecret, parseSecret } from "../../core/access/secret.ts";
import { isHelloSigned, nodeIdOf } from "../../core/identity/node-key.ts";
import { type AccountId, type NodeId, nodeIdSchema } from "../../core/ids.ts";
import { Refusal } from "../../core/refusal.ts";
import type { HelloFrame } from "../../core/wire/node-frame.ts";
import { protocolVersions } from "../../core/wire/protocol.ts";
import type { Env } from "../env.ts";

/** What the socket was opened with, to check a hello against. */
export interface Challenge {
  /** The node whose socket this is, from the URL it dialled. */
  nodeId: NodeId;
  nonce: string;
  /** Host of the router as the node's request named it. */
  host: string;
}

interface Admission {
  hello: HelloFrame;
  challenge: Challenge;
  registeredTo: AccountId | undefined;
}

/**
 * Checks a hello and returns the operator account the node belongs to. `registeredTo` is the account it already
 * belongs to, if any; otherwise the hello's invite decides, and is used up by one node. `undefined` where that could not be
 * found out now. Throws a {@link Refusal}: `unsupported_protocol`, `invalid_signature`, `invalid_invite`.
 */
export async function admitNode(env: Env, asked: Admission): Promise<AccountId | undefined> {
  try {
    return await operatorOf(env, asked);
  } catch (error) {
    if (error instanceof Refusal) throw error;
    console.error("node: a hello could not be checked", { nodeId: asked.challenge.nodeId, error: String(error) });
    return undefined;
  }
}

async function operatorOf(env: Env, { hello, challenge, registeredTo }: Admission): Promise<AccountId> {
  if (!protocolVersions.some((version) => version === hello.protocol)) {
    throw new Refusal({
      code: "unsupported_protocol",
      message: `This router speaks protocol ${protocolVersions.join(", ")}, not ${hello.protocol}. Update the node.`,
    });
  }
  if (!(await isTheNode(hello, challenge))) {
    throw new Refusal({
      code: "invalid_signature",
      message:
        "The hello is not signed by this node's key for this router. Check the --router URL and the node's key file.",
    });
  }
  if (registeredTo !== undefined) return registeredTo;
  if (hello.invite === undefined) {
    throw new Refusal({
      code: "invalid_invite",
      message: "This node is new here and needs an invite: start it with --token inv-… from the router's admin.",
    });
  }
  return redeem(env, hello.invite, challenge.nodeId);
}

async function isTheNode(hello: HelloFrame, { nodeId, nonce, host }: Challenge): Promise<boolean> {
  if (hello.nodeId !== nodeId || hello.host !== host) return false;
  if (nodeIdSchema.safeParse(await nodeIdOf(hello.publicKey)).data !== nodeId) return false;
  return isHelloSigned({ nodeId, nonce, host }, hello);
}

async function redeem(env: Env, invite: string, nodeId: NodeId): Promise<AccountId> {
  const parsed = parseSecret(invite);
  const outcome =
    parsed?.kind === "inv"
      ? await env.ACCOUNT.get(env.ACCOUNT.idFromName(parsed.accountId)).redeemInvite({
          secretSha256: await hashSecret(parsed.text),
          nodeId,
        })
      : ({ kind: "refused", why: "unknown" } as const);
  if (outcome.kind === "redeemed") return outcome.accountId;
  throw new Refusal({ code: "invalid_invite", message: inviteProblems[outcome.why] });
}

const inviteProblems = {
  unknown: "This invite is not known here. Copy the whole inv-… text, or ask the router's admin for a new one.",
  revoked: "This invite was revoked. Ask the router's admin for a new one.",
  expired: "This invite has expired. Ask the router's admin for a new one.",
  used_up: "This invite has brought in as many nodes as it may. Ask the router's admin for a new one.",
} as const;
