"""The LLM-CXR server: HTTP in front, an image codec and a language-model engine behind."""

import os

# Third parties do not phone home from a hospital network; a user who wants it sets the variable before starting.
os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
os.environ.setdefault("DO_NOT_TRACK", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
os.environ.setdefault("TRANSFORMERS_OFFLINE", "1")
# vLLM narrates its start at INFO and warns about what does not apply here; the service logs its own story.
os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
