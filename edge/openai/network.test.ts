import { expect, test } from "vitest";
import { Refusal } from "../../core/refusal.ts";
import type { TrustPolicy } from "../trust/trust-policy.ts";
import { networkWishes, trustHeader } from "./network.ts";

type Request = Parameters<typeof networkWishes>[0];

test.each<[guarantee: string, request: Request, trust: TrustPolicy | undefined]>([
  ["a request that says nothing names no policy", { model: "m" }, undefined],
  ["a body names one", { model: "m", network: { trust: "checked" } }, "checked"],
  ["a model's suffix names one", { model: "m:single" }, "single"],
  ["the body counts before the suffix", { model: "m:single", network: { trust: "checked" } }, "checked"],
])("%s", (_guarantee, request, trust) => {
  expect(networkWishes(request)).toEqual({
    model: "m",
    wantsEvidence: false,
    ...(trust === undefined ? {} : { trust }),
  });
});

test("what follows a colon and is no policy belongs to the model's name", () => {
  expect(networkWishes({ model: "llama3:8b" }).model).toBe("llama3:8b");
});

test("evidence is granted where there is any, and refused by name where there is none", () => {
  const request = { model: "m", network: { evidence: true } };
  expect(networkWishes(request).wantsEvidence).toBe(true);
  expect(refusalOf(() => networkWishes(request, { grants: "none" }))).toEqual([
    "unsupported_parameter",
    "network.evidence",
  ]);
});

test.each<[what: string, ask: () => unknown, code: string, param: string]>([
  [
    "a body",
    () => networkWishes({ model: "m", network: { trust: "consensus" } }),
    "unsupported_parameter",
    "network.trust",
  ],
  ["a suffix", () => networkWishes({ model: "m:consensus" }), "unsupported_parameter", "model"],
  ["a header", () => trustHeader(headers("consensus")), "unsupported_parameter", "x-network-trust"],
  ["a header's nonsense", () => trustHeader(headers("blind")), "invalid_value", "x-network-trust"],
])("a policy that is not there yet is refused by name in %s", (_what, ask, code, param) => {
  expect(refusalOf(ask)).toEqual([code, param]);
});

test("a header names a policy", () => {
  expect(trustHeader(headers("checked"))).toBe("checked");
  expect(trustHeader(new Headers())).toBeUndefined();
});

const headers = (trust: string) => new Headers({ "x-network-trust": trust });

function refusalOf(ask: () => unknown): unknown {
  try {
    return ask();
  } catch (error) {
    return error instanceof Refusal ? [error.code, error.param] : error;
  }
}
