"""docs/SAMPLING.md in Python: reads sampling-vectors.json on standard input and names each vector that it disputes."""

import json
import math
import sys

WORD = 0xFFFFFFFF


def philox(counter, key):
    (a, b, c, d), (left, right) = counter, key
    for _ in range(10):
        one, two = 0xD2511F53 * a, 0xCD9E8D57 * c
        a, b, c, d = (two >> 32) ^ b ^ left, two & WORD, (one >> 32) ^ d ^ right, one & WORD
        left, right = (left + 0x9E3779B9) & WORD, (right + 0xBB67AE85) & WORD
    return a, b, c, d


def noise(seed, position, token):
    first, second, _, _ = philox((position, token, 0, 0), (seed, 0x636F7274))
    return -math.log(-math.log((first * 2**20 + (second >> 12) + 0.5) / 2**52))


def rank(logits, rules, counts, position):
    """All candidates, likeliest first, as (token, logit, score); how many may be chosen; how many top-k leaves, and their weights."""
    bias = dict(rules.get("logitBias", []))
    adjusted = []
    for token, logit in logits.items():
        logit += bias.get(token, 0)
        if token in counts:
            logit -= counts[token] * rules["frequencyPenalty"] + rules["presencePenalty"]
        heat = rules["temperature"]
        adjusted.append((token, logit, logit + heat * noise(rules["seed"], position, token) if heat else logit))
    adjusted.sort(key=lambda each: (-each[1], each[0]))
    count = min(64, rules.get("topK", 64), len(adjusted))
    most = adjusted[0][1]
    weights = [math.exp(logit - most) for _, logit, _ in adjusted[:count]]
    kept = count
    if rules["topP"] < 1:
        reached, wanted = 0, rules["topP"] * sum(weights)
        for place, weight in enumerate(weights):
            reached += weight
            if reached >= wanted:
                kept = place + 1
                break
    likely = [weight >= rules.get("minP", 0) for weight in weights[:kept]] + [False]
    return adjusted, likely.index(False), count, weights


def distance(at, adjusted, count, weights, rules):
    """By how many logits a candidate is outside what may be chosen; negative inside."""
    logits = [logit for _, logit, _ in adjusted] + [-math.inf]
    found = [logits[count if at < count else count - 1] - logits[at]]
    if rules.get("minP", 0):
        found.append(logits[0 if at else 1] + math.log(rules["minP"]) - logits[at])
    if rules["topP"] < 1:
        here = min(at, count - 1)

        def beyond(before):
            share = before / sum(weights)
            odds = math.inf if share >= 1 else math.log(share / (1 - share)) if share else -math.inf
            return odds - math.log(rules["topP"] / (1 - rules["topP"]))

        outside = beyond(sum(weights[:here])) >= 0
        ways = range(here + 1) if outside else range(here, count)
        if outside:
            found.append(min(max(logits[way] - logits[here], beyond(sum(weights[:way]))) for way in ways))
        else:
            rest = [sum(weights[: way + 1]) - weights[here] for way in ways]
            found.append(-min(max(logits[here] - logits[way], -beyond(before)) for way, before in zip(ways, rest)))
    return max(found)


def margin(claimed, adjusted, kept, count, weights, rules):
    far = [distance(at, adjusted, count, weights, rules) for at in range(len(adjusted))]
    clear = [each for at, each in enumerate(adjusted[:kept]) if far[at] <= -0.25]
    best, least = max((score for _, _, score in clear), default=-math.inf), (5, len(adjusted))
    for place, (token, logit, score) in enumerate(adjusted):
        if token in claimed:
            short = 0 if place < kept else max(0, far[place])
            before = sum(other > score and each != token for each, _, other in clear)
            least = min(least, (min(5, max(0, best - score) + short), before if place < kept else max(before, len(clear))))
    return least


def disputed(vectors):
    for each in vectors["noise"]:
        place = (each["seed"], each["position"], each["tokenId"])
        words = philox((place[1], place[2], 0, 0), (place[0], 0x636F7274))[:2]
        if list(words) != each["words"] or abs(noise(*place) - each["noise"]) > 1e-9:
            yield f"noise at {place}"
    for answer in vectors["answers"]:
        counts = {}
        for position, step in enumerate(answer["steps"]):
            logits = {id: logit for id, logit in enumerate(step["logits"]) if id not in step["forbidden"]}
            adjusted, kept, count, weights = rank(logits, answer["rules"], counts, position)
            if max(adjusted[:kept], key=lambda each: each[2])[0] != step["choice"]:
                yield f"{answer['name']}, position {position}: choice"
            for claim in step["claims"]:
                found, before = margin(claim["tokenIds"], adjusted, kept, count, weights, answer["rules"])
                if abs(found - claim["margin"]) > 1e-9 or before != claim["rank"]:
                    yield f"{answer['name']}, position {position}: margin of {claim['tokenIds']}"
            counts[step["choice"]] = counts.get(step["choice"], 0) + 1


for line in disputed(json.load(sys.stdin)):
    print(line)
