import { afterEach, expect, test, vi } from "vitest";
import { Refusal, type RefusalCode, refusalCodes } from "../core/refusal.ts";
import { errorBody, errorResponse, toRefusal } from "./errors.ts";

afterEach(() => {
  vi.restoreAllMocks();
});

test.each(refusalCodes)("%s has an error status and tells its code", async (code) => {
  const response = errorResponse(new Refusal({ code, message: "why" }));
  expect(response.status).toBeGreaterThanOrEqual(400);
  expect(response.status).toBeLessThan(600);
  expect(response.headers.get("content-type")).toMatch(/^application\/json/);
  expect(await response.json()).toEqual({
    error: { message: "why", type: expect.stringMatching(/_error$/), param: null, code },
  });
});

test("the statuses and types are these, and changing one is a change of the public surface", () => {
  const lines = refusalCodes.map((code) => {
    const refusal = new Refusal({ code, message: "why" });
    return `${code} ${errorResponse(refusal).status} ${errorBody(refusal).error.type}`;
  });
  expect(lines.join("\n")).toMatchInlineSnapshot(`
    "missing_api_key 401 authentication_error
    invalid_api_key 401 authentication_error
    revoked_api_key 401 authentication_error
    invalid_admin_key 401 authentication_error
    not_found 404 not_found_error
    method_not_allowed 405 invalid_request_error
    model_not_found 404 not_found_error
    response_not_found 404 not_found_error
    file_not_found 404 not_found_error
    batch_not_found 404 not_found_error
    invalid_utf8 400 invalid_request_error
    invalid_json 400 invalid_request_error
    invalid_request 400 invalid_request_error
    invalid_value 400 invalid_request_error
    missing_required_parameter 400 invalid_request_error
    unsupported_parameter 400 invalid_request_error
    request_too_large 413 invalid_request_error
    prompt_too_large 400 invalid_request_error
    context_length_exceeded 400 invalid_request_error
    no_live_node 503 service_unavailable_error
    no_free_node 503 service_unavailable_error
    queue_full 503 service_unavailable_error
    no_validator 503 service_unavailable_error
    attempts_exhausted 503 service_unavailable_error
    answer_rejected 502 server_error
    answer_unchecked 503 service_unavailable_error
    stream_broken 502 server_error
    record_unavailable 503 service_unavailable_error
    invalid_invite 403 authentication_error
    invalid_signature 403 authentication_error
    unsupported_protocol 400 invalid_request_error
    invalid_frame 400 invalid_request_error
    superseded 409 invalid_request_error
    suspended 403 authentication_error
    idle 408 invalid_request_error
    internal_error 500 server_error"
  `);
});

test.each(refusalCodes)("%s says when to come back if, and only if, it is a 503", (code) => {
  const response = errorResponse(new Refusal({ code, message: "why" }));
  expect(response.headers.get("retry-after")).toBe(response.status === 503 ? "5" : null);
});

test("a refusal's own time to come back wins", () => {
  const refusal = new Refusal({ code: "queue_full", message: "why", retryAfterSeconds: 17 });
  expect(errorResponse(refusal).headers.get("retry-after")).toBe("17");
});

test("the field at fault is named", () => {
  const refusal = new Refusal({ code: "invalid_value", message: "why", param: "messages[0].content" });
  expect(errorBody(refusal).error.param).toBe("messages[0].content");
});

test("what is for the logs stays out of the answer", async () => {
  const refusal = new Refusal({
    code: "record_unavailable",
    message: "why",
    detail: "inner-detail",
    cause: new Error("inner-cause"),
  });
  expect(await errorResponse(refusal).text()).not.toMatch(/inner/);
});

test("a refusal passes as it is", () => {
  const refusal = new Refusal({ code: "idle", message: "why" });
  expect(toRefusal(refusal, "req_1")).toBe(refusal);
});

test.each<[guarantee: string, thrown: unknown]>([
  ["an error of ours leaks nothing but the request's id", new Error("postgres://user:password@host/db")],
  ["a thrown text leaks nothing but the request's id", "postgres://user:password@host/db"],
  ["a thrown object leaks nothing but the request's id", { secret: "password" }],
  ["nothing thrown is an error of ours too", undefined],
])("%s", async (_guarantee, thrown) => {
  const log = vi.spyOn(console, "error").mockReturnValue(undefined);
  const response = errorResponse(toRefusal(thrown, "req_4711"));
  expect(response.status).toBe(500);
  const text = await response.text();
  expect(JSON.parse(text)).toEqual({
    error: {
      message: expect.stringContaining("req_4711"),
      type: "server_error",
      param: null,
      code: "internal_error" satisfies RefusalCode,
    },
  });
  expect(text).not.toMatch(/password|postgres|stack|at .*\.ts/);
  expect(log).toHaveBeenCalledOnce();
});

test("an error of ours is logged whole, with the request's id", () => {
  const log = vi.spyOn(console, "error").mockReturnValue(undefined);
  toRefusal(new Error("what really happened"), "req_4711");
  expect(JSON.stringify(log.mock.calls)).toMatch(/what really happened.*req_4711|req_4711.*what really happened/);
});
