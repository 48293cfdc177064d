import { parentPort, workerData } from "node:worker_threads";
import type { GrammarSource, GrammarThreadData, Question, Reply } from "./grammar-source.ts";
import { loadXGrammar, type XGrammar } from "./load-xgrammar.ts";

/**
 * Compiles grammars and says which token may come next, in a thread of its own: compiling takes up to seconds, in which
 * no other answer may stand still, and a grammar that takes longer is ended with the thread.
 */

/** Compiled grammars that are kept. */
const keptGrammars = 32;

type Compiled = InstanceType<XGrammar["CompiledGrammar"]>;
type Matcher = Awaited<ReturnType<XGrammar["GrammarMatcher"]["createGrammarMatcher"]>>;

const port = parentPort;
if (port === null) throw new Error("this file is a thread of the engine and nothing else");
const { texts, endIds }: GrammarThreadData = workerData;
const xgrammar = loadXGrammar();
const tokenizer = await xgrammar.TokenizerInfo.createTokenizerInfo([...texts], "byte_level", false, texts.length, [
  ...endIds,
]);
const compiler = await xgrammar.GrammarCompiler.createGrammarCompiler(tokenizer, false);
const compiled = new Map<string, Compiled>();
const matchers = new Map<number, Matcher>();

let last: Promise<void> = Promise.resolve();
port.on("message", (question: Question) => {
  last = last.then(() => answer(question));
});

async function answer(question: Question): Promise<void> {
  const { number, matcher: id } = question;
  let reply: Reply;
  try {
    reply = { number, type: "mask", bits: await perform(question) };
  } catch (error) {
    reply = { number, type: "problem", message: String(error), isOfGrammar: question.type === "open" };
    matchers.delete(id);
  }
  port?.postMessage(reply);
}

async function perform(question: Question): Promise<Int32Array | null> {
  switch (question.type) {
    case "open": {
      const matcher = await xgrammar.GrammarMatcher.createGrammarMatcher(await compile(question.source));
      for (const tokenId of question.tokenIds) {
        if (!matcher.acceptToken(tokenId)) throw new Error("what was said before does not fit the grammar");
      }
      matchers.set(question.matcher, matcher);
      return matcher.getNextTokenBitmask();
    }
    case "accept": {
      const matcher = matchers.get(question.matcher);
      if (matcher === undefined || !matcher.acceptToken(question.tokenId)) {
        throw new Error(`token ${question.tokenId} does not fit the grammar`);
      }
      return matcher.isTerminated() ? null : matcher.getNextTokenBitmask();
    }
    case "close":
      matchers.get(question.matcher)?.dispose();
      matchers.delete(question.matcher);
      return null;
  }
}

async function compile(source: GrammarSource): Promise<Compiled> {
  const key = JSON.stringify(source);
  const known = compiled.get(key);
  if (known !== undefined) {
    // The one used last is the last to go.
    compiled.delete(key);
    compiled.set(key, known);
    return known;
  }
  const made = await compiler.compileGrammar(await grammarOf(source));
  const [oldest] = compiled.keys();
  if (oldest !== undefined && compiled.size >= keptGrammars) {
    compiled.get(oldest)?.dispose();
    compiled.delete(oldest);
  }
  compiled.set(key, made);
  return made;
}

function grammarOf(source: GrammarSource): Promise<InstanceType<XGrammar["Grammar"]>> {
  if (source.type === "text") return xgrammar.Grammar.fromEBNF(source.ebnf);
  const tags = source.calls.map(({ name, ebnf }) => ({
    type: "tag" as const,
    begin: `<tool_call>\n{"name": ${JSON.stringify(name)}, "arguments": `,
    content: { type: "grammar" as const, grammar: ebnf },
    end: "}\n</tool_call>",
  }));
  const format = source.isForced
    ? {
        type: "tags_with_separator" as const,
        ...{ tags, separator: "\n", at_least_one: true, stop_after_first: source.isSingle },
      }
    : {
        type: "triggered_tags" as const,
        ...{ tags, triggers: ["<tool_call>"], at_least_one: false, stop_after_first: source.isSingle },
      };
  return xgrammar.Grammar.fromStructuralTag({ type: "structural_tag", format });
}
