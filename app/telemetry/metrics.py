"""Every metric of the service, declared once. vLLM adds its own `vllm:*` to the same registry.

Labels take few values: route templates, error codes, stages, states; never a path, a UID or a client's text.
"""

from prometheus_client import Counter, Gauge, Histogram

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)

# `task` is the kind of job; `job` is Prometheus' own label of a target.
REQUESTS = Counter("cxr_http_requests_total", "HTTP requests answered.", ["route", "method", "status", "task"])
REQUEST_SECONDS = Histogram("cxr_http_request_seconds", "Time to answer an HTTP request.", ["route"], buckets=_SECONDS)
REQUESTS_IN_FLIGHT = Gauge("cxr_http_requests_in_flight", "HTTP requests being answered.")
REJECTED = Counter("cxr_rejected_total", "Requests refused, by error code.", ["code"])
# Stages: decode, encode_queue, encode, queue, first_token, generate, detokenise_queue, detokenise, compare,
# render, deliver.
STAGE_SECONDS = Histogram("cxr_stage_seconds", "Time of one stage of a job.", ["stage"], buckets=_SECONDS)
IMAGE_TOKENS = Counter("cxr_image_tokens_total", "Image tokens read (in) and drawn (out).", ["direction"])
TEXT_TOKENS = Counter("cxr_text_tokens_total", "Text tokens written.")
DRAWINGS_IN_FLIGHT = Gauge("cxr_drawings_in_flight", "Drawings being generated.")

READINGS_REUSED = Counter("cxr_readings_reused_total", "Images that were not decoded and encoded again.")

INPUTS = Counter(
    "cxr_inputs_total",
    "Images by what was decided on them: accepted, warned, turned, off, or the code of a refusal.",
    ["decision"],
)

DRAWINGS_COMPARED = Counter(
    "cxr_drawings_compared_total",
    "Drawings compared with the training films: given, redrawn, refused, or edit, which are given in any case.",
    ["outcome"],
)

DECODERS_REPLACED = Counter(
    "cxr_decoders_replaced_total", "Decoder processes replaced: died, idle, timeout, memory or failed.", ["cause"]
)

CODEC_BATCH_IMAGES = Histogram(
    "cxr_codec_batch_images", "Images in one batch of the codec.", buckets=(1, 2, 4, 8, 16, 32, 64)
)
CODEC_QUEUE_IMAGES = Gauge("cxr_codec_queue_images", "Images that wait for the codec.", ["direction"])

PROBES_FAILED = Counter("cxr_probes_failed_total", "Probes of the engine or the codec without an answer.", ["part"])
READY = Gauge("cxr_ready", "1 while requests are served.")
ENGINE_UP = Gauge("cxr_engine_up", "1 while the language-model engine lives.")
STARTED = Gauge("cxr_start_time_seconds", "When the process became ready, in seconds since the epoch.")
BUNDLE_INFO = Gauge("cxr_bundle_info", "The bundle that is served; always 1.", ["name", "version", "sha256"])
GPU_MEMORY_USED = Gauge("cxr_gpu_memory_used_bytes", "Memory in use on a GPU, by all processes.", ["gpu"])
GPU_MEMORY_TOTAL = Gauge("cxr_gpu_memory_total_bytes", "Memory of a GPU.", ["gpu"])
GPU_UTILISATION = Gauge("cxr_gpu_utilisation_ratio", "Share of time in which a GPU ran kernels.", ["gpu"])

INSTANCES = Counter("cxr_instances_total", "DICOM instances received, by outcome.", ["source", "outcome"])
JOBS = Gauge("cxr_study_jobs", "Study jobs by state.", ["state"])
OLDEST_JOB_SECONDS = Gauge("cxr_study_oldest_seconds", "Age of the oldest study job that is not over; 0 without any.")
JOBS_ENDED = Counter("cxr_study_jobs_ended_total", "Study jobs that came to an end here.", ["state"])
STUDY_DOUBT = Histogram(
    "cxr_study_doubt",
    "Doubt of studies' reports, where samples are drawn.",
    buckets=[tenth / 10 for tenth in range(1, 11)],
)
STUDY_ABNORMAL = Histogram(
    "cxr_study_abnormal_probability",
    "Probability that a study's image is abnormal, where the bundle declares findings.",
    buckets=[tenth / 10 for tenth in range(1, 11)],
)
JOBS_ORPHANED = Counter("cxr_jobs_orphaned_total", "Open jobs without a workflow that were taken up again.")
DELIVERIES = Counter("cxr_deliveries_total", "Attempts at delivering a study's documents.", ["destination", "outcome"])
SPOOL_BYTES = Gauge("cxr_spool_bytes", "Bytes of the instances that are held.")
SPOOL_UNKNOWN_FILES = Gauge("cxr_spool_unknown_files", "Files in spool/unknown, which the database does not know.")
SPOOL_FREE_BYTES = Gauge("cxr_spool_free_bytes", "Free bytes on the spool's disk.")
SPOOL_RESERVE_BYTES = Gauge("cxr_spool_reserve_bytes", "Free bytes below which no study is taken.")
AUDIT_EVENTS = Gauge("cxr_audit_last_event", "Number of the audit log's last event; a smaller one later is a cut.")
AUDIT_FAILURES = Counter("cxr_audit_failures_total", "Audit events that could not be written.")
AUDIT_SENT = Counter("cxr_audit_sent_total", "Audit events sent to the audit record repository.")
AUDIT_NOT_SENT = Counter("cxr_audit_not_sent_total", "Audit events in the log that were dropped before they were sent.")
AUDIT_WAITING = Gauge("cxr_audit_waiting", "Audit events that wait to be sent.")
