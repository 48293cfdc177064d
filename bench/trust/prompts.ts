import { createHash } from "node:crypto";

/** Calibration and evaluation never share a prompt, a template or a topic. */
export type PromptSet = "calibration" | "evaluation";

export interface Prompt {
  /** As `evaluation-0042`. */
  id: string;
  text: string;
}

const topics: Readonly<Record<PromptSet, readonly string[]>> = {
  evaluation: [
    ...["a lighthouse", "a beehive", "the tides", "a steam engine", "bread", "the moon", "a violin", "glaciers"],
    ...["a post office", "volcanoes", "a bicycle", "the printing press", "coffee", "a coral reef", "snow", "clocks"],
    ...["a railway station", "honey", "the human heart", "a telescope", "rice fields", "owls", "a dam", "paper"],
    ...["a marathon", "the stock market", "wolves", "a cathedral", "electric light", "tea", "deserts", "a compass"],
    ...["whales", "a kitchen garden", "the alphabet", "earthquakes", "a sailing boat", "photography", "ants", "iron"],
    ...["a public library", "the Roman roads", "chess", "rainbows", "a submarine", "vaccines", "bamboo", "a circus"],
    ...["the Silk Road", "a waterfall", "magnets", "cheese", "a hospital", "comets", "wool", "a fire brigade"],
    ...["the Olympic Games", "a bakery", "penguins", "soap", "an orchestra", "gravity", "a market square", "salt"],
  ],
  calibration: [
    ...["a windmill", "elephants", "the sun", "a harbour", "glass", "a piano", "rivers", "a school bus"],
    ...["thunderstorms", "a greenhouse", "the telephone", "chocolate", "mountains", "a robot", "spiders", "money"],
    ...["an airport", "wine", "the human brain", "a microscope", "wheat", "bats", "a bridge", "ink"],
    ...["a football match", "insurance", "foxes", "a castle", "batteries", "milk", "forests", "a map"],
    ...["dolphins", "a vineyard", "numbers", "hurricanes", "a canoe", "cinema", "butterflies", "copper"],
    ...["a museum", "pyramids", "card games", "shadows", "a hot-air balloon", "antibiotics", "cotton", "a zoo"],
    ...["the Vikings", "an oasis", "lasers", "eggs", "a courtroom", "planets", "silk", "a police station"],
    ...["a wedding", "a butcher", "parrots", "shoes", "a choir", "friction", "a village", "pepper"],
  ],
};

/** `#` stands for the topic. Most ask for more than an answer is given room for; the last few are for a short one. */
const templates: Readonly<Record<PromptSet, readonly string[]>> = {
  evaluation: [
    "Explain # to a ten-year-old in detail.",
    "Write a long story about #.",
    "What are the main advantages and disadvantages of #?",
    "Describe the history of #.",
    "Write a letter to a friend about #.",
    "List ten surprising facts about #.",
    "How would the world look without #?",
    "Write a speech in praise of #.",
    "Compare # with something similar and discuss the differences.",
    "Give a beginner's guide to #.",
    "Write a dialogue between two people who disagree about #.",
    "What questions would a scientist ask about #?",
    "Describe # to somebody who has never seen it.",
    "In one short sentence, what is #?",
    "Name one thing that belongs to #. Answer in five words.",
  ],
  calibration: [
    "Tell me everything you know about #.",
    "Write a poem of many verses about #.",
    "Why does # matter? Give several reasons.",
    "Write a newspaper article about #.",
    "Describe a day that has to do with #.",
    "How has # changed over time?",
    "Make a lesson plan about #.",
    "Write an advertisement for #, and explain each part of it.",
    "What myths are there about #?",
    "Write a diary entry that mentions #.",
    "Which problems come with #, and how can they be solved?",
    "Summarise what a book about # might say, chapter by chapter.",
    "Write the rules of a game about #.",
    "Answer with a single word: do you like #?",
    "Give a very short definition of #.",
  ],
};

/** Ways to put a question, so that the same topic and template are asked more than once. */
const manners: Readonly<Record<PromptSet, readonly string[]>> = {
  evaluation: ["#", "Please help me. #", "# Use simple words.", "# Be precise.", "I am curious. #"],
  calibration: ["#", "A question for you. #", "# Take your time.", "# Be friendly.", "For my homework: #"],
};

/** How many prompts a set has. */
export const promptCount = (set: PromptSet) => topics[set].length * templates[set].length * manners[set].length;

/**
 * The first `count` prompts of a set in an order of its own, which is always the same. Throws where there are not so
 * many.
 */
export function promptsOf(set: PromptSet, count: number): Prompt[] {
  if (count > promptCount(set)) throw new RangeError(`the ${set} set has ${promptCount(set)} prompts, not ${count}`);
  const texts = manners[set].flatMap((manner) =>
    templates[set].flatMap((template) =>
      topics[set].map((topic) => manner.replace("#", () => template.replace("#", () => topic))),
    ),
  );
  const keyed = texts.map((text) => ({ text, key: createHash("sha256").update(`${set} ${text}`).digest("hex") }));
  keyed.sort((one, other) => (one.key < other.key ? -1 : 1));
  return keyed.slice(0, count).map(({ text }, index) => ({ id: `${set}-${String(index).padStart(4, "0")}`, text }));
}

/** A seed of 32 bits for a name: the same each time, and as good as drawn. */
export function seedOf(name: string): number {
  return createHash("sha256").update(name).digest().readUInt32LE();
}
