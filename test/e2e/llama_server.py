"""Serves a GGUF file with llama.cpp's own server, as the package `xllamacpp` holds it, until its input ends.

Takes {"modelPath", "kind", "slots", "contextTokens"} as JSON in its argument and prints {"url"} as JSON once it listens.
"""

import json
import sys

import xllamacpp

asked = json.loads(sys.argv[1])
params = xllamacpp.CommonParams()
params.model.path = asked["modelPath"]
params.n_parallel = asked["slots"]
params.n_ctx = asked["slots"] * asked["contextTokens"]
params.n_batch = params.n_ubatch = asked["contextTokens"]
params.embedding = asked["kind"] == "embedding"
params.n_gpu_layers = 0
params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
params.warmup = False
server = xllamacpp.Server(params)
print(json.dumps({"url": server.listening_address}), flush=True)
sys.stdin.read()
