import { z } from "zod";
import { nodeIdOf, signHello } from "../core/identity/node-key.ts";
import { limits } from "../core/limits.ts";
import {
  examplePrivateKey,
  nodeFrameExamples,
  resumeExample,
  routerFrameExamples,
} from "../core/wire/frame-examples.ts";
import { closeCodes, connectPath, heartbeatText, protocolVersions } from "../core/wire/protocol.ts";

const number = (value: number) => value.toLocaleString("en-US");
const seconds = (milliseconds: number) => `${milliseconds / 1_000} s`;

/** What `docs/WIRE.md` says before its tables of frames: dialling, identity, credits, answers, and coming back. */
export async function wireIntroduction(): Promise<string> {
  const { hello } = nodeFrameExamples;
  const { nonce } = routerFrameExamples.challenge;
  const { host, publicKey } = hello;
  const nodeId = await nodeIdOf(publicKey);
  const signature = await signHello({ nodeId, nonce, host }, examplePrivateKey);
  const codes: Record<keyof typeof closeCodes, string> = {
    finished: "The node drained. It stays away until its operator starts it again.",
    rejected: "The router said no in a `reject` just before.",
    superseded: "Another socket of the same node took over.",
    badFrame: "The node broke the protocol; the `reject` just before says how.",
    idle: "Nothing was heard for too long, or no hello came in time.",
    restart: "The router's object was reset. Dial again at once.",
  };
  return `# The wire between router and node

<!-- Made by \`npm run wire:docs\` from the schemas in core/wire. A change by hand is lost. -->

This is all that a node needs to know to serve a cortensor-edge network, in any language. The node dials the router
with one WebSocket and keeps it open; both sides send JSON texts. The schemas in \`core/wire\` are what both sides parse
with, and this page is made from them.

- A frame is one JSON object. A message is a text of at most ${number(limits.frameBytes)} characters that holds one frame, or a list of
  1 to ${number(limits.framesPerMessage)} frames, in order; put together what is ready together. Binary messages are refused.
- \`type\` says which frame it is. A field that this page does not name is refused, and so is one that is out of bounds:
  the router answers with \`reject\` (\`invalid_frame\`) and closes the socket.
- Integers are at most 2^53 − 1. An optional field is left out, not \`null\`.
- The protocol's version is ${protocolVersions.join(", ")}: the challenge offers, the hello chooses.

## Dialling

\`\`\`
wss://<router>${connectPath}?node=<the node's id>
\`\`\`

A router under a path keeps it: \`https://host/base\` is dialled as \`wss://host/base${connectPath}\`. \`http:\` becomes \`ws:\`.

\`\`\`
router                         node
  challenge {nonce}   ──────▶
                      ◀──────  hello {signature, models, …}
  welcome {epoch, …}  ──────▶
                      ◀──────  pull {model, creditsTotal}
  task {attemptId, …} ──────▶
                      ◀──────  [ack {promptTokens}, delta {items}]
                      ◀──────  delta {items}, again and again
  acked {items, over} ──────▶
                      ◀──────  [commit {counts}, pull {creditsTotal + 1}]
\`\`\`

## Identity

A node is an Ed25519 key (RFC 8032) that it draws itself and keeps. Keys and signatures travel as base64url without
padding (RFC 4648 §5).

- The id is \`node_\` and the first 32 characters of the SHA-256 of the 32 bytes of the public key, in base32 with the
  alphabet \`0123456789abcdefghjkmnpqrstvwxyz\`, most significant bits first.
- The signature of a hello is over the UTF-8 bytes of four lines, joined by \`\\n\`, with none at the end:

  \`\`\`
  cortensor-edge hello 1
  <host: as in the hello>
  <nodeId>
  <nonce: as the challenge wrote it>
  \`\`\`

- \`host\` is the host of the URL that the node dialled, in lower case, with its port where the URL has one that is not
  the scheme's own. It is signed so that a hello given to one router opens no other.

To try your code: with the key of RFC 8032 §7.1, test 1, these belong together.

| what | value |
| --- | --- |
| public key | \`${publicKey}\` |
| id | \`${nodeId}\` |
| host | \`${host}\` |
| nonce | \`${nonce}\` |
| signature | \`${signature}\` |

Who may join is the router's choice. A node that it does not know needs an invite, once; from then on its id belongs to
the invite's account.

## Credits

A node is never sent more than it asked for. For each model it says in \`pull\` how many tasks it has agreed to take
**in all on this socket**, those already sent to it included. The total only grows, and begins anew with each socket:

- after \`welcome\`, send the number of tasks of that model for which there is room: its slots, less those that still run
  from earlier sockets;
- for each task that ends, in whatever way, send a total one higher.

Since it is a total, a task and a \`pull\` that cross on their way are never counted wrongly. A total below an earlier one
changes nothing. A node that drains sends no more of them.

## Answers

1. \`ack\` or \`fail\` within ${seconds(limits.ackMs)} of the task. Count the prompt first: a prompt that does not fit is a \`fail\` with
   \`context_length_exceeded\`, not an answer.
2. Pieces go out as items of \`delta\` frames: the first at once, since a reader waits for it, then what gathered in a
   tick of 20 ms, of all answers in one frame. An \`ack\` may wait for the first piece as long as such a tick. \`seq\`
   counts each attempt's items from 0 without gaps. A gap, a second vector of one text, or a piece before the \`ack\`
   ends the attempt. A piece that came already means nothing.
3. \`commit\` once the answer is whole. \`completionTokens\` is the number of token ids sent in the attempt's items, and
   \`promptTokens\` what the \`ack\` said; otherwise the answer is not taken. Every text of an embedding has its vector.
4. Nothing of an attempt follows its \`commit\` or \`fail\`. Frames about an attempt that is over mean nothing.
5. A second \`task\` frame for an attempt that is held means nothing.

### Tool calls

Where a task has \`tools\` and its \`toolChoice\` is not \`none\`, the answer's text has each call in this form, whatever the
model's own way to write one is:

\`\`\`
<tool_call>
{"name": "NAME", "arguments": JSON}
</tool_call>
\`\`\`

with one space after each colon and comma that stand here, one line feed where a line ends here, and as JSON what
\`parameters\` asks for. The node forces it token by token from \`<tool_call>\` on. Text before, between and after is what
the model says beside its calls; \`<tool_call>\` is never part of that.

### Commitments

Tokens are chosen as docs/SAMPLING.md says, to the bit, so that another node can tell whether an answer is the model's.
The \`commit\` of an answer, of one that was cancelled too, has a \`commitment\`, which the node can be held to:

- \`head\` is the last link of a chain of SHA-256 over the ids of the whole answer, those that it \`continues\` included. The
  first link is that of the text \`cortensor-edge answer 1\`, the task's id and the model's hash, a line feed between each;
  every token adds the hash of the link before and of its id as four bytes, little-endian.
  An embedding's head has a link for each vector instead: the hash of the link before and of its float32 numbers as bytes,
  little-endian, in the inputs' order; its answer has 0 tokens.
- \`signature\` is the node's, Ed25519, over the lines \`cortensor-edge commitment 1\`, task's id, attempt's id, model's
  hash, tokens of the prompt, tokens of the whole answer, finish reason, head, a line feed between each.

### Checks

A task of kind \`check\` asks how plausible another node's answer is. Read prompt and ids in one pass, and for each of
\`positions\` work out the token that docs/SAMPLING.md chooses there; \`report\` says how far the claimed one falls short of
it. At the position after the last id it is the best of the tokens that end an answer. A check has no text and no tokens of
its own.

A node that is silent for ${seconds(limits.silenceMs)} after its \`ack\` is given up.

## Coming back

A lost socket stops nothing: readers wait, and an answer goes on over any number of sockets.

- Keep each attempt's ack, its pieces as they were sent, and its end, until \`acked\` names them: at least the latest
  ${number(limits.replayBytes / 1024)} KiB of an attempt. What ended may go ${seconds(limits.leaseGraceMs)} after its end.
- Dial again at once. The hello of a process that was welcome before has \`resume\`: the token of its last welcome, and
  each attempt that it holds.

  \`\`\`json
  ${JSON.stringify({ resume: resumeExample }, null, 2).replaceAll("\n", "\n  ")}
  \`\`\`

- The \`welcome\` names those that go on. For each that has a number in \`nextSeq\`: send its ack, its pieces from there,
  exactly as they were, and its end if there is one; then go on. For each that has \`null\`: send nothing of it until
  \`resume\` asks for it or \`cancel\` stops it; then say its ack and its end, without pieces. All others are over: stop
  and forget them, and send nothing of them.
- An attempt that is named and whose pieces are gone is answered with \`fail\` (\`lost_pieces\`).
- Without a socket for ${seconds(limits.leaseGraceMs)}, stop what runs: nobody waits for it any more. Be back sooner: where somebody reads the
  answer, another node goes on with it after ${seconds(limits.attachedGraceMs)}.

## Heartbeats

Every \`heartbeatMs\` of the welcome, send exactly this text, with no space in it:

\`\`\`
${heartbeatText}
\`\`\`

The router answers with the same text without waking what sleeps, which is why it must be spelled so, and be a message of
its own. No answer before the next one is due means that the socket is dead: close it and dial again. A router that hears
nothing for ${seconds(limits.idleSocketMs)} closes the socket.

While tasks run, send it every \`busyHeartbeatMs\`. Both sides then take a silence of ${seconds(limits.busySilenceMs)}, in which no frame came at
all, for a dead socket.

## Draining

To stop without losing work: send \`status\` with \`draining\`, answer tasks that cross it with \`fail\` (\`draining\`),
finish what runs, come back if the socket is lost meanwhile, send \`drained\`, and close with ${closeCodes.finished}. The router may
ask for the same with \`drain\`.

## When to dial again

After a \`reject\` with \`invalid_invite\`, \`invalid_signature\`, \`unsupported_protocol\` or \`superseded\`: never. Only a person
can mend it, and two boxes with one key would push each other out for ever. After \`suspended\`: about once a
minute, since an appeal or the admin may take it back. After anything else: at once, within 100 ms
drawn at random, and if that fails after a quarter of a second, twice as long for each further failure up to 15 s, each
wait drawn at random from its upper half, so that a fleet that lost its router does not come back in one moment. A socket
that was welcome for a second ends the count.

| close code | name | what it means |
| --- | --- | --- |
${Object.entries(codes)
  .map(([name, words]) => `| ${z.record(z.string(), z.int()).parse(closeCodes)[name]} | ${name} | ${words} |`)
  .join("\n")}`;
}
