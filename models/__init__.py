"""Models, prompts and bundles: everything that knows what LLM-CXR is, nothing that serves it."""
