import type { z } from "zod";
import { countRequestSchema, messageRequestSchema } from "../anthropic/message-request.ts";
import { chatRequestSchema } from "../openai/chat-request.ts";
import { completionRequestSchema } from "../openai/completion-request.ts";
import { embeddingRequestSchema } from "../openai/embedding-request.ts";
import { responseRequestSchema } from "../responses/response-request.ts";
import { batchListSchema, batchRequestSchema } from "../routes/batches.ts";
import { fileFieldsSchema, fileListSchema } from "../routes/files.ts";
import { appealSchema } from "../routes/node-verdicts.ts";
import { inputItemsListSchema } from "../routes/responses.ts";

/** One thing that the router can be asked, as its reference tells it. */
export interface Operation {
  method: "get" | "post" | "delete";
  /** Parts in braces are any text. */
  path: string;
  tag: "Chat" | "Completions" | "Embeddings" | "Responses" | "Models" | "Files" | "Batches" | "Messages" | "Nodes";
  summary: string;
  body?: { type: "application/json" | "multipart/form-data"; schema: z.ZodType; example?: object };
  query?: z.ZodType;
  /** What an answer is besides JSON. */
  answers?: "text/event-stream" | "application/octet-stream";
  /** Whose envelope errors come in. */
  errors?: "anthropic";
}

const model = "smollm2-135m-instruct";
const question = [{ role: "user", content: "What is the capital of France?" }];
const json = "application/json";

export const operations: readonly Operation[] = [
  {
    ...{ method: "post", path: "/v1/chat/completions", tag: "Chat", answers: "text/event-stream" },
    summary: "Answer a conversation",
    body: {
      type: json,
      schema: chatRequestSchema,
      example: { model, messages: question, max_tokens: 60, stream: true },
    },
  },
  {
    ...{ method: "post", path: "/v1/completions", tag: "Completions", answers: "text/event-stream" },
    summary: "Go on with a text",
    body: {
      type: json,
      schema: completionRequestSchema,
      example: { model, prompt: "Once upon a time", max_tokens: 40 },
    },
  },
  {
    ...{ method: "post", path: "/v1/embeddings", tag: "Embeddings" },
    summary: "Turn texts into vectors",
    body: {
      type: json,
      schema: embeddingRequestSchema,
      example: { model: "all-minilm-l6-v2", input: "A happy person" },
    },
  },
  {
    ...{ method: "post", path: "/v1/responses", tag: "Responses", answers: "text/event-stream" },
    summary: "Answer, and keep the answer to go on from",
    body: { type: json, schema: responseRequestSchema, example: { model, input: "Hello!", max_output_tokens: 60 } },
  },
  { method: "get", path: "/v1/responses/{id}", tag: "Responses", summary: "A stored response" },
  { method: "delete", path: "/v1/responses/{id}", tag: "Responses", summary: "Forget a stored response" },
  { method: "post", path: "/v1/responses/{id}/cancel", tag: "Responses", summary: "Stop a background response" },
  {
    ...{ method: "get", path: "/v1/responses/{id}/input_items", tag: "Responses", query: inputItemsListSchema },
    summary: "What a stored response was asked",
  },
  { method: "get", path: "/v1/models", tag: "Models", summary: "The models that live nodes serve" },
  { method: "get", path: "/v1/models/{id}", tag: "Models", summary: "One of them" },
  {
    ...{ method: "post", path: "/v1/files", tag: "Files", summary: "Upload a file of at most 100 MiB" },
    body: { type: "multipart/form-data", schema: fileFieldsSchema },
  },
  { method: "get", path: "/v1/files", tag: "Files", summary: "The account's files", query: fileListSchema },
  { method: "get", path: "/v1/files/{id}", tag: "Files", summary: "What is known of a file" },
  {
    ...{ method: "get", path: "/v1/files/{id}/content", tag: "Files", answers: "application/octet-stream" },
    summary: "The bytes of a file",
  },
  { method: "delete", path: "/v1/files/{id}", tag: "Files", summary: "Delete a file" },
  {
    ...{ method: "post", path: "/v1/batches", tag: "Batches", summary: "Answer the requests of a file" },
    body: { type: json, schema: batchRequestSchema },
  },
  { method: "get", path: "/v1/batches", tag: "Batches", summary: "The account's batches", query: batchListSchema },
  { method: "get", path: "/v1/batches/{id}", tag: "Batches", summary: "How a batch fares" },
  { method: "post", path: "/v1/batches/{id}/cancel", tag: "Batches", summary: "Stop a batch; what is done stays" },
  {
    ...{ method: "post", path: "/v1/messages", tag: "Messages", answers: "text/event-stream", errors: "anthropic" },
    summary: "Answer a conversation, in Anthropic's words",
    body: { type: json, schema: messageRequestSchema, example: { model, max_tokens: 60, messages: question } },
  },
  {
    ...{ method: "post", path: "/v1/messages/count_tokens", tag: "Messages", errors: "anthropic" },
    summary: "Count the tokens of such a request",
    body: { type: json, schema: countRequestSchema, example: { model, messages: question } },
  },
  { method: "get", path: "/v1/nodes/{id}", tag: "Nodes", summary: "Why a node of the account's gets work, or none" },
  {
    method: "get",
    path: "/v1/nodes/{id}/verdicts",
    tag: "Nodes",
    summary: "What checks have said of its answers, and why",
  },
  {
    ...{
      method: "post",
      path: "/v1/nodes/{id}/appeals",
      tag: "Nodes",
      summary: "Have a rejected answer checked once more",
    },
    body: { type: json, schema: appealSchema },
  },
];
