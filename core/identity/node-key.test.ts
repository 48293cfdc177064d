import { describe, expect, test } from "vitest";
import { base32, nodeIdSchema } from "../ids.ts";
import {
  fromBase64Url,
  type HelloClaim,
  isHelloSigned,
  newNodeKey,
  nodeIdOf,
  signHello,
  toBase64Url,
} from "./node-key.ts";

/** RFC 8032 §7.1, test 1: the secret as PKCS #8 (RFC 8410 §7: a fixed prefix before the 32 bytes). */
const rfcKey = {
  publicKey: toBase64Url(hex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")),
  privateKey: toBase64Url(
    hex("302e020100300506032b6570042204209d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"),
  ),
};
const nonce = "n".repeat(43);
const claim: HelloClaim = { nodeId: nodeIdSchema.parse("node_abcd"), nonce, host: "router.example" };

function hex(text: string): Uint8Array {
  return Uint8Array.from(text.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}

test("a node's id is the first 160 bits of its public key's SHA-256, in base32", async () => {
  const key = await newNodeKey();
  const digest = await crypto.subtle.digest("SHA-256", fromBase64Url(key.publicKey));
  expect(await nodeIdOf(key.publicKey)).toBe(`node_${base32(new Uint8Array(digest).slice(0, 20))}`);
  expect(nodeIdSchema.parse(await nodeIdOf(key.publicKey))).toHaveLength(37);
});

test("the id of a known key stays what it is: nodes are registered by it", async () => {
  expect(await nodeIdOf(rfcKey.publicKey)).toBe("node_47z33qx1ajh62rkbz1a08vyj4wdqqvab");
});

test("another key has another id", async () => {
  const ids = await Promise.all(Array.from({ length: 8 }, async () => nodeIdOf((await newNodeKey()).publicKey)));
  expect(new Set(ids).size).toBe(8);
});

test("a fresh key has the sizes that the wire asks for", async () => {
  const key = await newNodeKey();
  expect(key.publicKey).toMatch(/^[A-Za-z0-9_-]{43}$/);
  expect(await signHello(claim, key.privateKey)).toMatch(/^[A-Za-z0-9_-]{86}$/);
});

test("the bytes that a hello signs are the four lines that docs/WIRE.md tells of", async () => {
  const key = await newNodeKey();
  const imported = await crypto.subtle.importKey("raw", fromBase64Url(key.publicKey), "Ed25519", false, ["verify"]);
  const signature = fromBase64Url(await signHello(claim, key.privateKey));
  const lines = (text: string) => new TextEncoder().encode(text);
  const told = lines(`cortensor-edge hello 1\nrouter.example\nnode_abcd\n${nonce}`);
  expect(await crypto.subtle.verify("Ed25519", imported, signature, told)).toBe(true);
  const turned = lines(`cortensor-edge hello 1\nnode_abcd\nrouter.example\n${nonce}`);
  expect(await crypto.subtle.verify("Ed25519", imported, signature, turned)).toBe(false);
});

describe("a hello", () => {
  test("signed by the node's key is believed", async () => {
    const key = await newNodeKey();
    const signature = await signHello(claim, key.privateKey);
    expect(await isHelloSigned(claim, { publicKey: key.publicKey, signature })).toBe(true);
  });

  test("signed by a key of RFC 8032 is believed, and always the same", async () => {
    const signature = await signHello(claim, rfcKey.privateKey);
    expect(signature).toBe(await signHello(claim, rfcKey.privateKey));
    expect(await isHelloSigned(claim, { publicKey: rfcKey.publicKey, signature })).toBe(true);
  });

  test.each<[what: string, change: Partial<HelloClaim>]>([
    ["another nonce: it is an old hello sent again", { nonce: `m${nonce.slice(1)}` }],
    ["another host: it was given to another router", { host: "router.example:8443" }],
    ["another node's id", { nodeId: nodeIdSchema.parse("node_abce") }],
  ])("is refused for %s", async (_what, change) => {
    const key = await newNodeKey();
    const signature = await signHello({ ...claim, ...change }, key.privateKey);
    expect(await isHelloSigned(claim, { publicKey: key.publicKey, signature })).toBe(false);
  });

  test("is refused under another key", async () => {
    const signature = await signHello(claim, (await newNodeKey()).privateKey);
    expect(await isHelloSigned(claim, { publicKey: (await newNodeKey()).publicKey, signature })).toBe(false);
  });

  test("is refused where one bit of the signature is turned", async () => {
    const key = await newNodeKey();
    const signature = fromBase64Url(await signHello(claim, key.privateKey));
    for (const position of [0, 31, 32, 63]) {
      const turned = Uint8Array.from(signature, (byte, index) => (index === position ? byte ^ 1 : byte));
      expect(await isHelloSigned(claim, { publicKey: key.publicKey, signature: toBase64Url(turned) })).toBe(false);
    }
  });

  test.each<[what: string, publicKey: string | undefined, signature: string | undefined]>([
    ["an empty key", "", undefined],
    ["a key too short", toBase64Url(new Uint8Array(31)), undefined],
    ["a key too long", toBase64Url(new Uint8Array(33)), undefined],
    ["a key of zeros", toBase64Url(new Uint8Array(32)), undefined],
    ["a key of ones", toBase64Url(new Uint8Array(32).fill(255)), undefined],
    ["a key that is not base64url", "+".repeat(43), undefined],
    ["an empty signature", undefined, ""],
    ["a signature too short", undefined, toBase64Url(new Uint8Array(63))],
    ["a signature too long", undefined, toBase64Url(new Uint8Array(65))],
    ["a signature of zeros", undefined, toBase64Url(new Uint8Array(64))],
    ["a signature that is not base64url", undefined, "é".repeat(86)],
    ["a signature of an impossible length", undefined, "a".repeat(85)],
  ])("with %s is false, never a throw", async (_what, publicKey, signature) => {
    const key = await newNodeKey();
    const good = await signHello(claim, key.privateKey);
    const given = { publicKey: publicKey ?? key.publicKey, signature: signature ?? good };
    await expect(isHelloSigned(claim, given)).resolves.toBe(false);
  });
});

describe("base64url", () => {
  test.each<[bytes: number[], text: string]>([
    [[], ""],
    [[0], "AA"],
    [[255, 255, 255], "____"],
    [[251, 255], "-_8"],
    [[102, 111, 111, 98, 97, 114], "Zm9vYmFy"],
  ])("of %j is %j, both ways", (bytes, text) => {
    expect(toBase64Url(Uint8Array.from(bytes))).toBe(text);
    expect([...fromBase64Url(text)]).toEqual(bytes);
  });

  test.each(["a", "+/+/", "====", "AA==", "A A", "ä"])("%j is not base64url, and gives nothing", (text) => {
    expect(fromBase64Url(text)).toHaveLength(0);
  });
});
