import { DurableObject } from "cloudflare:workers";
import { hashSecret, newSecret } from "../../core/access/secret.ts";
import {
  type AccountId,
  accountIdSchema,
  type InviteId,
  inviteIdSchema,
  type KeyId,
  keyIdSchema,
  type NodeId,
  randomText,
} from "../../core/ids.ts";
import type { RecordEntry, TaskRecord } from "../../core/record/entry.ts";
import type { Env } from "../env.ts";
import { fileStoreOf } from "../files/file-store.ts";
import { fileKey } from "../routes/files.ts";
import { AccountShelf, type ShelfEntry, type ShelfKind, type ShelfPage, type ShelfWish } from "./account-shelf.ts";
import { accountMigrations } from "./account-tables.ts";
import { Alarm } from "./alarm.ts";
import { isMigrated, migrate } from "./migrate.ts";
import { Outbox } from "./outbox.ts";
import { recordSender } from "./send-record.ts";

/** What a fresh key or invite is known by; `secret` is told this once. */
export interface IssuedSecret<Id> {
  id: Id;
  accountId: AccountId;
  name: string;
  secret: string;
  createdAtMs: number;
}

export type KeyCheck = { kind: "valid"; keyId: KeyId } | { kind: "unknown" } | { kind: "revoked" };

export type Redemption =
  | { kind: "redeemed"; accountId: AccountId }
  | { kind: "refused"; why: "unknown" | "revoked" | "expired" | "used_up" };

/** Things that expired which one ring forgets; the next begins at once. */
const sweptAtOnce = 100;

/** One account: its keys, the invites by which nodes become its own, and the record of its tasks that no node ended. */
export class AccountObject extends DurableObject<Env> {
  readonly #sql = this.ctx.storage.sql;
  readonly #outbox = new Outbox(this.#sql, recordSender(this.env));
  readonly #alarm = new Alarm(this.ctx.storage, [(nowMs) => this.#outbox.flush(nowMs), (nowMs) => this.#sweep(nowMs)]);
  /** False for an id that nobody has written to: whoever guesses account ids leaves no tables behind. */
  #isKnown = isMigrated(this.ctx.storage);
  /** When something on the shelf expires next, so that an alarm for something else reads nothing; 0 where it is not known. */
  #sweepAtMs: number | undefined = 0;

  /** Whether a key's hash is one of this account's. */
  checkKey(secretSha256: string): KeyCheck {
    if (!this.#isKnown) return { kind: "unknown" };
    const row = this.#sql
      .exec<{ id: string; revoked_at_ms: number | null }>(
        "SELECT id, revoked_at_ms FROM keys WHERE secret_sha256 = ?",
        secretSha256,
      )
      .toArray()[0];
    if (row === undefined) return { kind: "unknown" };
    return row.revoked_at_ms === null ? { kind: "valid", keyId: keyIdSchema.parse(row.id) } : { kind: "revoked" };
  }

  /** Draws a key; the account comes to be with its first key or invite. */
  async createKey({ accountId, name }: { accountId: AccountId; name: string }): Promise<IssuedSecret<KeyId>> {
    const nowMs = Date.now();
    this.#found(accountId, nowMs);
    const id = keyIdSchema.parse(`key_${accountId}_${randomText(12)}`);
    const secret = newSecret("sk", accountId);
    this.#sql.exec(
      "INSERT INTO keys (id, secret_sha256, name, hint, created_at_ms) VALUES (?, ?, ?, ?, ?)",
      ...[id, await hashSecret(secret), name, secret.slice(-4), nowMs],
    );
    await this.#record([this.#keyEntry(id)]);
    return { id, accountId, name, secret, createdAtMs: nowMs };
  }

  /** Ends a key. Routers stop honouring it within `keyCacheMs`. False where there is no such key. */
  async revokeKey(id: KeyId): Promise<boolean> {
    if (!this.#isKnown) return false;
    const found = this.#sql.exec("SELECT 1 FROM keys WHERE id = ?", id).toArray().length > 0;
    if (!found) return false;
    this.#sql.exec("UPDATE keys SET revoked_at_ms = ? WHERE id = ? AND revoked_at_ms IS NULL", Date.now(), id);
    await this.#record([this.#keyEntry(id)]);
    return true;
  }

  /** Draws an invite for at most `maxNodes` nodes, valid until `expiresAtMs` (null: until revoked). */
  async createInvite({
    accountId,
    name,
    maxNodes,
    expiresAtMs,
  }: {
    accountId: AccountId;
    name: string;
    maxNodes: number;
    expiresAtMs: number | null;
  }): Promise<IssuedSecret<InviteId>> {
    const nowMs = Date.now();
    this.#found(accountId, nowMs);
    const id = inviteIdSchema.parse(`invite_${accountId}_${randomText(12)}`);
    const secret = newSecret("inv", accountId);
    this.#sql.exec(
      `INSERT INTO invites (id, secret_sha256, name, hint, max_nodes, created_at_ms, expires_at_ms)
       VALUES (?, ?, ?, ?, ?, ?, ?)`,
      ...[id, await hashSecret(secret), name, secret.slice(-4), maxNodes, nowMs, expiresAtMs],
    );
    await this.#record([this.#inviteEntry(id)]);
    return { id, accountId, name, secret, createdAtMs: nowMs };
  }

  /** Ends an invite: no further node joins by it; those that did stay. False where there is no such invite. */
  async revokeInvite(id: InviteId): Promise<boolean> {
    if (!this.#isKnown) return false;
    const found = this.#sql.exec("SELECT 1 FROM invites WHERE id = ?", id).toArray().length > 0;
    if (!found) return false;
    this.#sql.exec("UPDATE invites SET revoked_at_ms = ? WHERE id = ? AND revoked_at_ms IS NULL", Date.now(), id);
    await this.#record([this.#inviteEntry(id)]);
    return true;
  }

  /** Lets a node join as this account's own. The same node may ask twice and counts once. */
  async redeemInvite({ secretSha256, nodeId }: { secretSha256: string; nodeId: NodeId }): Promise<Redemption> {
    if (!this.#isKnown) return { kind: "refused", why: "unknown" };
    const invite = this.#sql
      .exec<InviteRow>("SELECT * FROM invites WHERE secret_sha256 = ?", secretSha256)
      .toArray()[0];
    if (invite === undefined) return { kind: "refused", why: "unknown" };
    if (invite.revoked_at_ms !== null) return { kind: "refused", why: "revoked" };
    if (invite.expires_at_ms !== null && invite.expires_at_ms <= Date.now()) return { kind: "refused", why: "expired" };
    const joined = this.#joinedNodes(invite.id);
    if (!joined.includes(nodeId)) {
      if (joined.length >= invite.max_nodes) return { kind: "refused", why: "used_up" };
      this.#sql.exec("INSERT INTO invite_nodes (invite_id, node_id) VALUES (?, ?)", invite.id, nodeId);
      await this.#recordSoon([this.#inviteEntry(inviteIdSchema.parse(invite.id))]);
    }
    return { kind: "redeemed", accountId: this.#accountId() };
  }

  /** Keeps a task's end that no node's object can tell of: it failed, expired or was cancelled on its way. */
  async recordTask(task: TaskRecord): Promise<void> {
    if (!this.#isKnown) return;
    await this.#recordSoon([task]);
  }

  /** Keeps what the account has besides its keys, until it expires. The same may come twice. */
  async putOnShelf(kind: ShelfKind, entry: ShelfEntry): Promise<void> {
    if (!this.#isKnown) throw new Error("an account that nobody made has nothing to keep");
    this.#shelfOf().put(kind, entry);
    if (entry.expiresAtMs === null) return;
    this.#sweepAtMs = Math.min(this.#sweepAtMs ?? entry.expiresAtMs, entry.expiresAtMs);
    await this.#alarm.ringBy(entry.expiresAtMs + 1);
  }

  fromShelf(kind: ShelfKind, id: string): ShelfEntry | undefined {
    return this.#isKnown ? this.#shelfOf().get(kind, id, Date.now()) : undefined;
  }

  shelf(kind: ShelfKind, wish: ShelfWish): ShelfPage {
    if (!this.#isKnown) return { entries: [], hasMore: false };
    return this.#shelfOf().list(kind, { ...wish, nowMs: Date.now() });
  }

  removeFromShelf(id: string): void {
    if (this.#isKnown) this.#shelfOf().remove(id);
  }

  override async alarm(): Promise<void> {
    await this.#alarm.ring(Date.now());
  }

  /** Forgets what has expired, files with their bytes. Returns when the next does. */
  async #sweep(nowMs: number): Promise<number | undefined> {
    if (!this.#isKnown || this.#sweepAtMs === undefined) return undefined;
    if (this.#sweepAtMs >= nowMs) return this.#sweepAtMs + 1;
    const shelf = this.#shelfOf();
    for (const { id, kind } of shelf.expired({ nowMs, limit: sweptAtOnce })) {
      if (kind === "file") await fileStoreOf(this.env).remove(fileKey(this.#accountId(), id));
      shelf.remove(id);
    }
    this.#sweepAtMs = shelf.nextExpiryMs();
    return this.#sweepAtMs === undefined ? undefined : this.#sweepAtMs + 1;
  }

  /** Makes the tables and the account itself, once. */
  #found(accountId: AccountId, nowMs: number): void {
    migrate(this.ctx.storage, accountMigrations);
    this.#isKnown = true;
    if (this.#sql.exec("SELECT 1 FROM account").toArray().length > 0) return;
    this.#sql.exec("INSERT INTO account (id, created_at_ms) VALUES (?, ?)", accountId, nowMs);
    this.#outbox.add([{ kind: "account", accountId, name: accountId, createdAtMs: nowMs }], nowMs);
  }

  /** An account that was made before there was a shelf gets it now. */
  #shelfOf(): AccountShelf {
    migrate(this.ctx.storage, accountMigrations);
    return new AccountShelf(this.#sql);
  }

  #accountId(): AccountId {
    return accountIdSchema.parse(this.#sql.exec<{ id: string }>("SELECT id FROM account").one().id);
  }

  #joinedNodes(inviteId: string): string[] {
    return this.#sql
      .exec<{ node_id: string }>("SELECT node_id FROM invite_nodes WHERE invite_id = ?", inviteId)
      .toArray()
      .map((row) => row.node_id);
  }

  #keyEntry(keyId: KeyId): RecordEntry {
    const row = this.#sql
      .exec<{ name: string; hint: string; created_at_ms: number; revoked_at_ms: number | null }>(
        "SELECT name, hint, created_at_ms, revoked_at_ms FROM keys WHERE id = ?",
        keyId,
      )
      .one();
    return {
      kind: "key",
      keyId,
      accountId: this.#accountId(),
      name: row.name,
      hint: row.hint,
      createdAtMs: row.created_at_ms,
      revokedAtMs: row.revoked_at_ms,
    };
  }

  #inviteEntry(inviteId: InviteId): RecordEntry {
    const row = this.#sql.exec<InviteRow>("SELECT * FROM invites WHERE id = ?", inviteId).one();
    return {
      kind: "invite",
      inviteId,
      accountId: this.#accountId(),
      name: row.name,
      hint: row.hint,
      maxNodes: row.max_nodes,
      usedNodes: this.#joinedNodes(inviteId).length,
      createdAtMs: row.created_at_ms,
      expiresAtMs: row.expires_at_ms,
      revokedAtMs: row.revoked_at_ms,
    };
  }

  /** For an admin's act: tries Postgres at once, so that a list asked for next shows it; the outbox holds it if not. */
  async #record(entries: RecordEntry[]): Promise<void> {
    await this.#recordSoon(entries);
    const retryAtMs = await this.#outbox.flush(Date.now());
    if (retryAtMs !== undefined) await this.#alarm.ringBy(retryAtMs);
  }

  async #recordSoon(entries: RecordEntry[]): Promise<void> {
    await this.#alarm.ringBy(this.#outbox.add(entries, Date.now()));
  }
}

type InviteRow = {
  id: string;
  secret_sha256: string;
  name: string;
  hint: string;
  max_nodes: number;
  created_at_ms: number;
  expires_at_ms: number | null;
  revoked_at_ms: number | null;
};
