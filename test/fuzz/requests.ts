import fc from "fast-check";

/** A request to send, as raw as it goes out. */
export interface FuzzRequest {
  method: string;
  path: string;
  body: string | undefined;
  headers: Readonly<Record<string, string>>;
}

/** Text that has gone wrong somewhere before: controls, halves of pairs, marks of direction, templates, SQL, paths. */
const oddText = fc.oneof(
  fc.string({ unit: "binary", maxLength: 40 }),
  fc.constantFrom(
    ...[
      "",
      "\u0000",
      "\ud800",
      "\udfff\ud800",
      "\u202e\u200d\ufeff",
      "<|im_start|>system\n",
      "<|im_end|>",
      "<s>",
      "<tool_call>",
    ],
    ...[
      "{{ 7 * 7 }}",
      "{% raise %}",
      "'; DROP TABLE tasks;--",
      "../../etc/passwd",
      "__proto__",
      "constructor",
      "%00",
      "\r\n\r\n",
    ],
    ..."0|-1|NaN|null|1e999|9007199254740993".split("|"),
  ),
);
const oddNumber = fc.oneof(
  fc.double(),
  fc.integer(),
  fc.constantFrom(-0, -1, 0, 1e308, 5e-324, 2 ** 31, 2 ** 32, 2 ** 53, -(2 ** 53)),
);
const oddValue: fc.Arbitrary<unknown> = fc.letrec((tie) => ({
  value: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    oddText,
    oddNumber,
    fc.constantFrom<unknown>(null, true, false),
    fc.array(tie("value"), { maxLength: 4 }),
    fc.dictionary(oddText, tie("value"), { maxKeys: 4 }),
  ),
})).value;

/** Schemas: of every keyword that is known, some that are not, loops, and references to elsewhere. */
const oddSchema: fc.Arbitrary<unknown> = fc.letrec((tie) => ({
  schema: fc.oneof(
    { depthSize: "small" },
    fc.constantFrom<unknown>(
      ...[
        {},
        true,
        { $ref: "#" },
        { $ref: "#/$defs/a" },
        { $ref: "http://127.0.0.1:1/x" },
        { not: {} },
        { type: "null" },
      ],
      ...[{ pattern: "(a+)+$" }, { pattern: "(" }, { pattern: "^(?=a)b\\1$" }, { pattern: "[\\s\\S]{0,9999}" }],
      ...[
        { enum: [] },
        { const: "\u0000" },
        { type: "integer", minimum: 5, maximum: 1 },
        { minLength: 1e9 },
        { maxItems: -1 },
      ],
    ),
    fc.record(
      {
        type: fc.constantFrom<unknown>("object", "array", "string", "integer", "number", "boolean", "null", "what", [
          "string",
          "null",
        ]),
        properties: fc.dictionary(oddText, tie("schema"), { maxKeys: 4 }),
        required: fc.array(oddText, { maxLength: 3 }),
        additionalProperties: fc.oneof(fc.boolean(), tie("schema")),
        items: tie("schema"),
        anyOf: fc.array(tie("schema"), { maxLength: 3 }),
        allOf: fc.array(tie("schema"), { maxLength: 2 }),
        enum: fc.array(oddValue, { maxLength: 3 }),
        pattern: oddText,
        format: oddText,
        minimum: oddNumber,
        maximum: oddNumber,
        minLength: fc.integer({ min: -2, max: 100 }),
        maxLength: fc.integer({ min: -2, max: 100 }),
        $defs: fc.dictionary(fc.constantFrom("a", "b"), tie("schema"), { maxKeys: 2 }),
      },
      { requiredKeys: [] },
    ),
  ),
})).schema;

const message = fc.record(
  {
    role: fc.constantFrom("system", "developer", "user", "assistant", "tool", "function"),
    content: fc.oneof(
      oddText,
      fc.array(fc.record({ type: fc.constantFrom("text", "image_url", "input_text"), text: oddText }), {
        maxLength: 3,
      }),
    ),
    name: oddText,
    tool_calls: fc.array(
      fc.record({
        id: oddText,
        type: fc.constantFrom("function", "custom"),
        function: fc.record({ name: oddText, arguments: oddText }),
      }),
      { maxLength: 2 },
    ),
    tool_call_id: oddText,
  },
  { requiredKeys: ["role"] },
);
const tools = fc.array(
  fc.record(
    {
      type: fc.constantFrom("function", "web_search"),
      name: fc.constantFrom("f", "g", "a b"),
      function: fc.record(
        { name: fc.constantFrom("f", "g", ""), parameters: oddSchema, description: oddText },
        { requiredKeys: ["name"] },
      ),
      parameters: oddSchema,
      input_schema: oddSchema,
    },
    { requiredKeys: ["type"] },
  ),
  { maxLength: 3 },
);

/** Values that a field takes, at least in kind; each body has a few of them, and now and then anything at all. */
const fields: Readonly<Record<string, fc.Arbitrary<unknown>>> = {
  messages: fc.array(message, { maxLength: 4 }),
  prompt: fc.oneof(oddText, fc.array(fc.nat(3_000), { maxLength: 5 }), fc.array(oddText, { maxLength: 3 })),
  input: fc.oneof(
    oddText,
    fc.array(oddText, { maxLength: 3 }),
    fc.array(message, { maxLength: 3 }),
    fc.array(fc.nat(3_000), { maxLength: 5 }),
  ),
  system: oddText,
  instructions: oddText,
  temperature: oddNumber,
  top_p: oddNumber,
  seed: oddNumber,
  n: fc.integer({ min: -1, max: 9 }),
  stop: fc.oneof(oddText, fc.array(oddText, { maxLength: 5 })),
  stream: fc.boolean(),
  stream_options: fc.record({ include_usage: fc.boolean() }),
  logprobs: fc.oneof(fc.boolean(), fc.integer({ min: -1, max: 6 })),
  top_logprobs: fc.integer({ min: -1, max: 21 }),
  logit_bias: fc.dictionary(fc.oneof(fc.nat(3_000).map(String), oddText), oddNumber, { maxKeys: 3 }),
  response_format: fc.oneof(
    fc.constantFrom<unknown>({ type: "json_object" }, { type: "text" }, { type: "xml" }),
    fc.record({
      type: fc.constant("json_schema"),
      json_schema: fc.record({ name: fc.constant("s"), schema: oddSchema }),
    }),
  ),
  text: fc.record({
    format: fc.record({ type: fc.constant("json_schema"), name: fc.constant("s"), schema: oddSchema }),
  }),
  tools,
  tool_choice: fc.oneof(
    fc.constantFrom<unknown>("auto", "none", "required", { type: "any" }, { type: "function", name: "f" }),
    oddValue,
  ),
  encoding_format: fc.constantFrom("float", "base64", "hex"),
  dimensions: fc.integer({ min: -1, max: 600 }),
  previous_response_id: oddText,
  metadata: oddValue,
  network: oddValue,
  echo: fc.boolean(),
  store: fc.boolean(),
};

const bodyOf = (model: string, needed: readonly string[]): fc.Arbitrary<unknown> => {
  const chosen = fc.subarray(
    Object.keys(fields).filter((name) => !needed.includes(name)),
    { maxLength: 4 },
  );
  return fc.tuple(chosen, fc.boolean()).chain(([names]) => {
    const entries = [...needed, ...names].map((name) => {
      const usual = fields[name] ?? oddValue;
      return [name, fc.oneof({ weight: 9, arbitrary: usual }, { weight: 1, arbitrary: oddValue })] as const;
    });
    return fc.record({
      ...Object.fromEntries(entries),
      model: fc.oneof({ weight: 19, arbitrary: fc.constant(model) }, { weight: 1, arbitrary: oddValue }),
      // So that an answer takes little.
      max_tokens: fc.constant(3),
      max_output_tokens: fc.constant(3),
    });
  });
};

/** Bytes that are no JSON, or no request, and JSON nested without end. */
const brokenBody = fc.oneof(
  oddText,
  fc.json(),
  fc.nat(200_000).map((depth) => "[".repeat(depth)),
  fc.nat(20_000).map((depth) => `${'{"a":'.repeat(depth)}1${"}".repeat(depth)}`),
);

/** Requests of every kind that a router may get, in the names of these two models. */
export function fuzzRequests({ chat, embedding }: { chat: string; embedding: string }): fc.Arbitrary<FuzzRequest> {
  const posts: readonly (readonly [path: string, body: fc.Arbitrary<unknown>])[] = [
    ["/v1/chat/completions", bodyOf(chat, ["messages"])],
    ["/v1/completions", bodyOf(chat, ["prompt"])],
    ["/v1/responses", bodyOf(chat, ["input"])],
    ["/v1/messages", bodyOf(chat, ["messages"])],
    ["/v1/messages/count_tokens", bodyOf(chat, ["messages"])],
    ["/v1/embeddings", bodyOf(embedding, ["input"])],
    [
      "/v1/batches",
      fc.record({ input_file_id: oddText, endpoint: fc.constant("/v1/embeddings"), completion_window: oddText }),
    ],
    ["/v1/files", oddValue],
  ];
  const post = fc.constantFrom(...posts).chain(([path, body]) =>
    fc
      .oneof({ weight: 9, arbitrary: body.map((value) => JSON.stringify(value)) }, { weight: 1, arbitrary: brokenBody })
      .map(
        (text): FuzzRequest => ({
          method: "POST",
          path,
          body: text,
          headers: { "content-type": "application/json" },
        }),
      ),
  );
  const segment = oddText.map((text) => encodeURIComponent(text.toWellFormed()));
  const other = fc
    .tuple(
      fc.constantFrom("GET", "DELETE", "PUT", "POST", "OPTIONS"),
      fc.constantFrom("/v1/models/", "/v1/responses/", "/v1/files/", "/v1/batches/", "/v1/nodes/", "/v1/", "/"),
      segment,
      fc.constantFrom("", "/content", "/cancel", "/input_items", "?limit=-1", "?after=%00&order=up"),
    )
    .map(
      ([method, path, name, rest]): FuzzRequest => ({
        method,
        path: `${path}${name}${rest}`,
        body: undefined,
        headers: {},
      }),
    );
  return fc.oneof({ weight: 9, arbitrary: post }, { weight: 1, arbitrary: other });
}
