"""Counts and decodes tokens with no code of this project: the GGUF's own vocabulary, merges and chat template, read by
llama.cpp's `gguf` package, put to work by Hugging Face's `tokenizers` and by `jinja2`.

Reads {"gguf": path, "conversations": [[{"role", "content"}]], "outputs": [[token id]]} as JSON and prints
{"promptTokens": [count], "texts": [text]}, in the order of the input.
"""

import json
import sys

import gguf
import jinja2
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

asked = json.load(sys.stdin)
reader = gguf.GGUFReader(asked["gguf"])
field = lambda name: reader.fields["tokenizer." + name].contents()

assert field("ggml.pre") == "smollm", "this script knows only how SmolLM2 cuts text before its merges"
tokens = field("ggml.tokens")
control = [token for token, kind in zip(tokens, field("ggml.token_type")) if kind == gguf.TokenType.CONTROL]
tokenizer = Tokenizer(
    models.BPE(
        vocab={token: index for index, token in enumerate(tokens)},
        merges=[tuple(merge.split(" ")) for merge in field("ggml.merges")],
    )
)
tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in control])
# llama.cpp's "smollm": digits one by one, then GPT-2's expression.
tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
    [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)]
)
tokenizer.decoder = decoders.ByteLevel()

# As `apply_chat_template` of Hugging Face's `transformers` sets it up.
environment = jinja2.Environment(trim_blocks=True, lstrip_blocks=True)
template = environment.from_string(field("chat_template"))


def prompt_tokens(messages):
    rendered = template.render(messages=messages, add_generation_prompt=True)
    return len(tokenizer.encode(rendered, add_special_tokens=False).ids)


print(
    json.dumps(
        {
            "promptTokens": [prompt_tokens(messages) for messages in asked["conversations"]],
            # Control tokens are no text of the answer, as every server that follows OpenAI's API has it.
            "texts": [tokenizer.decode(ids, skip_special_tokens=True) for ids in asked["outputs"]],
        }
    )
)
