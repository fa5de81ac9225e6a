"""What the service is measured against, each in a process of its own:
`python -m benchmarks.contenders NAME --bundle DIR`.

    raw               the ceiling: vLLM's offline LLM.generate with the service's mask, then one batched decode
    reference         the published loop: Hugging Face generate, one image after the other
    static-batching   a LitServe server that batches requests, generates to the end, decodes

The parent's side (`protocol.Contender`, `served.ServedContender`) imports none of what the contenders import.
"""
