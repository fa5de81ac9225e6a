"""Every metric of the service, declared once. vLLM adds its own `vllm:*` to the same registry."""

from prometheus_client import Counter, Gauge, Histogram

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)

REQUESTS = Counter("cxr_http_requests_total", "HTTP requests answered.", ["route", "method", "status"])
REQUEST_SECONDS = Histogram("cxr_http_request_seconds", "Time to answer an HTTP request.", ["route"], buckets=_SECONDS)
REJECTED = Counter("cxr_rejected_total", "Requests refused, by error code.", ["code"])
STAGE_SECONDS = Histogram("cxr_stage_seconds", "Time of one stage of a job.", ["stage"], buckets=_SECONDS)
IMAGE_TOKENS = Counter("cxr_image_tokens_total", "Image tokens read (in) and drawn (out).", ["direction"])
TEXT_TOKENS = Counter("cxr_text_tokens_total", "Text tokens written.")
DRAWINGS_IN_FLIGHT = Gauge("cxr_drawings_in_flight", "Drawings being generated.")
CODEC_BATCH_IMAGES = Histogram(
    "cxr_codec_batch_images", "Images in one batch of the codec.", buckets=(1, 2, 4, 8, 16, 32, 64)
)
READY = Gauge("cxr_ready", "1 while requests are served.")
BUNDLE_INFO = Gauge("cxr_bundle_info", "The bundle that is served; always 1.", ["name", "version", "sha256"])
INSTANCES = Counter("cxr_instances_total", "DICOM instances received, by outcome.", ["source", "outcome"])
