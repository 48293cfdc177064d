import { limits } from "../core/limits.ts";
import type { NodeFrame } from "../core/wire/node-frame.ts";
import type { RouterFrame } from "../core/wire/router-frame.ts";

/** What each frame is for. */
export const routerFrameDescriptions: Record<RouterFrame["type"], string> = {
  challenge: `The first frame on a socket. Answer it with one \`hello\` within ${limits.helloMs / 1_000} seconds.`,
  welcome:
    "The hello was good: the node is in, and `leases` says what goes on of what it holds. See [Coming back](#coming-back).",
  reject: "The router's no to a hello or to a frame. The socket closes after it.",
  task: `Work, within the credits that the node gave. \`ack\` or \`fail\` is due within ${limits.ackMs / 1_000} seconds.`,
  cancel:
    "Stop this attempt. Answer with a `commit` of what there is, its `finishReason` `cancelled`, within 5 seconds; say nothing if its end was sent on this socket.",
  resume:
    "The attempt's reader came back: send its ack, its pieces from `nextSeq` and its end, if there is one, once more, and go on from there. Where these pieces are gone: `fail` with `lost_pieces`.",
  acked: "What will not be asked for again; the node may forget it.",
  standing: "Why this node gets work on a model, or none; sent when it changes, for the node's operator to read.",
  drain: "Finish what runs and take no more, as if the operator had asked for it.",
  heartbeat: "The answer to the node's heartbeat. See [Heartbeats](#heartbeats).",
};

export const nodeFrameDescriptions: Record<NodeFrame["type"], string> = {
  hello: "Who the node is and what it holds. Answers `challenge`, and comes once on a socket.",
  pull: "Room for work on one model. See [Credits](#credits).",
  ack: "The task is understood and its prompt fits the context; work begins. Nothing of an answer may come before it.",
  delta: "Pieces of all answers under way, at most about one frame a tick of 20 ms. See [Answers](#answers).",
  commit:
    "The answer is whole or, `cancelled`, what there is of it. The attempt is over. Its counts must be those of what was sent.",
  fail: "The node does not do the task. The attempt is over.",
  status: "A change of the node's mind. `draining` takes it out of its pools at once.",
  drained: "Nothing runs any more. The router closes the socket after it.",
  heartbeat: "A sign of life, every `heartbeatMs` of the welcome, and every `busyHeartbeatMs` while tasks run.",
};

/**
 * What each field means, by where it stands: the name of the frame or of a part, then the field. A test keeps the list
 * as long as the wire: no field without its words, no words without their field.
 */
export const fieldDescriptions: Record<string, string> = {
  "challenge.protocols": "Versions that the router speaks, newest first.",
  "challenge.nonce": "32 random bytes, base64url. Sign it as it is written here.",

  "welcome.protocol": "The version that the hello named.",
  "welcome.nodeId": "The node's id, as it said it.",
  "welcome.epoch": "Counts this node's sockets.",
  "welcome.operator": "The account that the node belongs to.",
  "welcome.heartbeatMs": "Send a `heartbeat` this often, in milliseconds.",
  "welcome.busyHeartbeatMs": "While tasks run, send it this often.",
  "welcome.resumeToken": "Names this process's run of sockets. Its next hello brings it back.",
  "welcome.leases":
    "Of the attempts that the hello named, those that go on. The others are over: stop and forget them. Empty for a process that is new.",

  "reject.code": "Why, for programs. See [When to dial again](#when-to-dial-again).",
  "reject.message": "Why and what to do, for the operator.",

  "task.taskId": "The request, the same for every node that is given it.",
  "task.attemptId": "This node's go at it. Every frame about it names this id.",
  "task.model": "SHA-256 of the model file to use: one that the hello named.",
  "task.input": "What to do.",
  "task.continues":
    "Token ids of this answer that other nodes made and the reader has, in order: the answer goes on after them. They count for `maxTokens`, penalties and stop sequences, and not for the counts of this attempt.",
  "task.wantsPromptIds": "The commit is to tell the prompt's token ids.",

  "cancel.attemptId": "The attempt to stop.",
  "resume.attemptId": "The attempt.",
  "resume.nextSeq": "The first piece to send.",
  "acked.items": "For each attempt, where the pieces begin that may still be asked for.",
  "acked.over": "Attempts of which nothing will be asked for any more. One that still runs stops.",
  "standing.model": "SHA-256 of the model file.",
  "standing.kind": "Why, for programs.",
  "standing.text": "Why, in a sentence.",
  "drain.reason": "Why, for the operator.",

  "hello.protocol": "One of the versions that the challenge offered.",
  "hello.nodeId": "The id that belongs to `publicKey`. See [Identity](#identity).",
  "hello.publicKey": "Ed25519 public key: 32 bytes, base64url without padding.",
  "hello.signature": "Ed25519 signature: 64 bytes, base64url without padding. See [Identity](#identity).",
  "hello.host": "Host, and port where the URL has one, of the router as the node dialled it.",
  "hello.invite": "An `inv-…` of the router's admin. Needed once: it makes the node its account's own for good.",
  "hello.name": "What the operator calls this box.",
  "hello.software": "The node's own software and version.",
  "hello.engine": "What runs the models, and its version.",
  "hello.hardware": "What the node runs on.",
  "hello.models": "Every model file that the node serves.",

  "hello.resume": "From a process that was welcome before: what it brings back. See [Coming back](#coming-back).",

  "pull.model": "SHA-256 of the model file.",
  "pull.creditsTotal":
    "All tasks of this model that the node has agreed to take on this socket, those already sent to it included.",

  "ack.attemptId": "The attempt.",
  "ack.promptTokens":
    "Tokens of the prompt as the model reads it, its chat template included; of all texts together for an embedding.",

  "delta.items": "Pieces, in the order of each answer.",

  "commit.attemptId": "The attempt.",
  "commit.finishReason":
    "`stop`: the model ended it, or a stop sequence did, or all texts are embedded. `length`: `maxTokens` or the context's end did. `cancelled`: only after a `cancel`.",
  "commit.stopSequence": "The one of the task's `stop` that ended the answer; absent where the model ended it itself.",
  "commit.promptTokens": "As in the `ack`.",
  "commit.completionTokens": "The number of token ids in the attempt's deltas. 0 for an embedding.",
  "commit.commitment":
    "What the node stands by from now on; every answer has one, a check has none. See [Commitments](#commitments).",
  "commit.promptIds": "The prompt as the node read it, where the task asks for it.",

  "fail.attemptId": "The attempt.",
  "fail.reason": "Why.",

  "status.state": "`draining`: takes no more. `active`: serves.",
  "status.running": "Tasks that run now.",

  "resumption.token": "`resumeToken` of the last welcome.",
  "resumption.holding": "Every attempt that runs or is kept; running ones first.",
  "held attempt.attemptId": "The attempt.",
  "held attempt.firstSeq": "The oldest piece that can be sent again; `nextSeq` where none can.",
  "held attempt.nextSeq": "The number of pieces made so far.",
  "held attempt.completionTokens": "The number of token ids in all pieces made so far.",
  "held attempt.isOver": "True once its `commit` or `fail` is made.",
  "held attempt.isEndSent": "True once that went out on any socket, whether it arrived or not.",
  "lease.attemptId": "The attempt.",
  "lease.nextSeq":
    "The piece to go on from. `null`: send nothing of it until a `resume` asks for it, or a `cancel` stops it.",
  "acked item.attemptId": "The attempt.",
  "acked item.nextSeq": "Pieces before this one may be forgotten.",

  "chat input.messages": "The conversation, oldest first, for the model's own chat template.",
  "chat input.sampling": "How to choose tokens.",
  "chat input.tools": "Functions that the model may call. See [Tool calls](#tool-calls).",
  "chat input.toolChoice":
    "Whether it calls any: as it likes (where this is absent, too), never, at least one, or this one.",
  "chat input.isSingleCall": "At most one call.",
  "chat input.format": "What the answer's text must be, token by token; absent for free text.",
  "completion input.prompt": "A text to go on with, or its token ids; no template is applied.",
  "completion input.sampling": "How to choose tokens.",
  "embedding input.texts": "Texts to embed, or their token ids, each on its own. Their places count from 0.",
  "check input.of": "What was asked.",
  "check input.tokenIds": "Ids of the whole answer, in order.",
  "check input.text": "The text that the consumer was given for them.",
  "check input.finishReason":
    "How the answer ended: `stop` without a stop sequence means that the model ended it. `null`: it was cut off.",
  "check input.stopSequence": "The stop sequence that ended it, where one did.",
  "check input.contextTokens":
    "Of the node that answered: where its answer may end by length. Absent is the checking node's own.",
  "check input.positions":
    "Positions to look at, ascending, counted from 0. The number of ids stands for the answer's end, where the model ended it.",

  "message.role": "Who speaks.",
  "message.content": "What they say. Text is text: what looks like a control token of the model is not one.",
  "message.name": "A name of the speaker.",
  "message.toolCalls": "Calls that this turn of the assistant made.",
  "message.toolCallId": "The call that this turn of a tool answers.",

  "tool.name": "The function's name.",
  "tool.description": "What it does, for the model.",
  "tool.parameters": "JSON Schema of its arguments.",
  "tool.isStrict": "The arguments must fit the schema; else they are any JSON object.",
  "tool call.id": "Names the call within the conversation.",
  "tool call.name": "The function.",
  "tool call.arguments": "JSON text, as the model wrote it.",
  "named tool.name": "The function that is called.",
  "any object.type": "Any JSON object.",
  "object of a schema.type": "A JSON value that fits the schema, without free white space.",
  "object of a schema.schema": "The JSON Schema.",

  "sampling.temperature": "0 takes the likeliest token.",
  "sampling.topP": "Draw from the likeliest tokens whose shares sum to this.",
  "sampling.topK": "Draw from so many of the likeliest tokens; never more than 64, which is also meant by its absence.",
  "sampling.minP": "Draw from tokens at least so likely beside the likeliest, as a share of its probability.",
  "sampling.frequencyPenalty": "Taken off a token's logit for each time that it came already.",
  "sampling.presencePenalty": "Taken off a token's logit once it came at all.",
  "sampling.seed":
    "The key of the draws: the same seed, prompt and model file give the same answer. See docs/SAMPLING.md.",
  "sampling.stop": "The answer ends before the first of these, which is not part of it.",
  "sampling.logitBias": "Token ids and what is added to their logits before all else.",
  "sampling.logprobs": "Tell the probability of each token.",
  "logprobs wish.top": "And those of so many of the likeliest in its place.",
  "sampling.maxTokens": "At most so many tokens are generated; `null` means up to the context's end.",

  "hardware.platform": "Operating system, as `linux`.",
  "hardware.arch": "Processor architecture, as `x64`.",
  "hardware.cpuModel": "Processor, in its maker's words.",
  "hardware.cores": "Logical cores that the node may use.",
  "hardware.memoryBytes": "Main memory in all.",
  "hardware.gpu": "What the models run on, or `null` where the processor does all the work.",
  "gpu.type": "How it is driven, as `cuda`, `metal` or `vulkan`.",
  "gpu.names": "Each card's name.",
  "gpu.vramBytes": "Memory of all cards together.",

  "model.name": "What consumers ask for.",
  "model.fileSha256": "SHA-256 of the model file, in lower-case hex. Nodes with one hash serve the same model.",
  "model.kind": "What it can be asked for.",
  "model.sizeBytes": "Size of the file.",
  "model.quantization": "How its weights are kept, in llama.cpp's words, as `Q4_1`.",
  "model.architecture": "`general.architecture` of a GGUF, as `llama`.",
  "model.contextTokens": "Longest prompt plus answer that this node serves.",
  "model.dimensions": "Length of an embedding; absent for chat models.",
  "model.slots": "Tasks of this model that the node runs at once.",
  "model.decoding":
    "Who chooses a chat model's tokens: `verifiable` as docs/SAMPLING.md says, which is what absence means; `own` by a sampler of the node's, so that answers can be checked at temperature 0 alone.",
  "model.checks":
    "Which answers of others it can check: `all`, which absence means where `decoding` is not `own`; `plain`, those without a bias, penalties, a format and tools; `none`, which absence means where it is.",
  "model.tokensPerSecond": "Decode speed of one stream, measured; input tokens for an embedding.",

  "delta item.attemptId": "The attempt.",
  "delta item.seq": "Counts the attempt's pieces from 0, without gaps.",
  "delta item.text": "Text that the tokens complete; absent while a character is half done.",
  "delta item.tokenIds": "Ids of the tokens generated, in order; the end-of-turn token is not one of them.",
  "delta item.logprobs": "One for each token id, where the task asks for them.",
  "logprob.id": "The token's id.",
  "logprob.logprob": "Natural logarithm of its probability.",
  "logprob.bytes": "The token's bytes, which may be a part of a character.",
  "logprob.top": "The likeliest tokens in its place, the likeliest first.",
  "alternative.id": "The token's id.",
  "alternative.logprob": "Natural logarithm of its probability.",
  "alternative.bytes": "Its bytes.",
  "delta item.vectors": "Embeddings that are done, each text's once.",
  "vector.index": "Which text of the input, counted from 0.",
  "vector.float32": "Little-endian float32 values, in base64 with padding. Unit length.",
  "delta item.report": "Of a check: all that it found, in one piece.",
  "check report.findings": "One for each position that was asked for, in the same order.",
  "check report.isTextOfTokens": "Whether the ids spell the text.",
  "check report.isEndRight":
    "Whether an answer of these ids ends where this one did: at the stop sequence, at `maxTokens`, at the context's end.",
  "finding.position": "The position.",
  "finding.margin":
    "By how many logits the claimed token falls short of the one that this node would have chosen, at most 5.",
  "finding.rank": "How many candidates come before it: 0 where it is the choice.",
  "commitment.head": "Last link of the chain over the answer's token ids: SHA-256, base64url.",
  "commitment.signature": "Ed25519 signature of the node, base64url.",

  "context_length_exceeded.promptTokens": "Tokens that the prompt has.",
  "context_length_exceeded.contextTokens": "Tokens that the model reads.",
  "context_length_exceeded.inputIndex": "Which of an embedding's texts, counted from 0; 0 for a chat.",
  "unsupported.message": "What cannot be done, for the consumer.",
  "unsupported.param": "The field of the request that is at fault, in OpenAI's words.",
  "unsupported.isOnlyHere":
    "Another node of this model file may do it: what is missing is this node's, not the model's.",
  "engine_error.message": "What broke, for logs.",
};

/** What becomes of a task that a node fails for each reason. */
export const reasonDescriptions: Record<Extract<NodeFrame, { type: "fail" }>["reason"]["code"], string> = {
  context_length_exceeded: "The prompt does not fit. Final: the consumer is told.",
  unsupported:
    "No node of this model could do it as it is asked: the consumer is told. With `isOnlyHere` others are asked first.",
  draining: "It crossed the node's word that it drains. Another node gets it.",
  unknown_model: "The node does not hold that file. Another node gets it.",
  no_slot: "There is no room after all. Another node gets it.",
  engine_error: "Something broke. Another node gets it.",
  lost_pieces: "Pieces were asked for that the node no longer has. Another node goes on from where the reader is.",
};
