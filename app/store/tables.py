"""The tables as the migrations make them (`migrations.py`). DBOS keeps its own in the same database: one transaction
covers both.
"""

import sqlalchemy as sa

metadata = sa.MetaData()

# One row a study. `job` is the open revision that still takes instances, or null.
studies = sa.Table(
    "cxr_studies",
    metadata,
    sa.Column("study_uid", sa.String(64), primary_key=True),
    sa.Column("patient_id", sa.Text, nullable=False, index=True),
    sa.Column("patient_name", sa.Text, nullable=False),
    sa.Column("study_date", sa.String(16), nullable=False, index=True),
    sa.Column("accession_number", sa.Text, nullable=False, index=True),
    sa.Column("attributes", sa.JSON, nullable=False),
    sa.Column("revision", sa.Integer, nullable=False),
    sa.Column("job", sa.String(64)),
    sa.Column("created", sa.Float, nullable=False, index=True),
    # Who sent its first instance; null where a release before took it.
    sa.Column("owner", sa.String(128)),
    sa.Column("tenant", sa.String(64), index=True),
)

# One row an instance: received (`origin` input), written here (result), or written here and sent back by a PACS (ours).
# `file` is null once retention has removed it.
instances = sa.Table(
    "cxr_instances",
    metadata,
    sa.Column("sop_instance_uid", sa.String(64), primary_key=True),
    sa.Column("sop_class_uid", sa.String(64), nullable=False),
    sa.Column("study_uid", sa.String(64), nullable=False, index=True),
    sa.Column("series_uid", sa.String(64), nullable=False, index=True),
    sa.Column("transfer_syntax_uid", sa.String(64), nullable=False),
    sa.Column("modality", sa.String(16), nullable=False),
    sa.Column("attributes", sa.JSON, nullable=False),
    sa.Column("sha256", sa.String(64), nullable=False),
    sa.Column("bytes", sa.BigInteger, nullable=False),
    sa.Column("file", sa.String(128)),
    sa.Column("origin", sa.String(8), nullable=False),
    sa.Column("sender", sa.String(64), nullable=False),
    sa.Column("job", sa.String(64), index=True),
    sa.Column("received", sa.Float, nullable=False),
    # What the service put in place of a wrong Specific Character Set.
    sa.Column("character_set", sa.String(64)),
    sa.Column("states", sa.JSON),  # records.States
)

# One row an instance that was taken and is kept apart (records.Apart): no study, search or report knows of it.
apart = sa.Table(
    "cxr_apart",
    metadata,
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("reason", sa.String(32), nullable=False),
    sa.Column("study_uid", sa.String(64), nullable=False, index=True),
    sa.Column("sop_instance_uid", sa.String(64), nullable=False, index=True),
    sa.Column("patient_id", sa.Text, nullable=False, index=True),
    sa.Column("transfer_syntax_uid", sa.String(64), nullable=False),
    sa.Column("sha256", sa.String(64), nullable=False),
    sa.Column("bytes", sa.BigInteger, nullable=False),
    sa.Column("file", sa.String(128), nullable=False),
    sa.Column("sender", sa.String(64), nullable=False),
    sa.Column("owner", sa.String(128)),
    sa.Column("tenant", sa.String(64), nullable=False),
    sa.Column("received", sa.Float, nullable=False),
)

# The sum of what is held is asked for with every scrape.
held_files = sa.Index(
    "cxr_instances_held",
    instances.c.bytes,
    sqlite_where=instances.c.file.is_not(None),
    postgresql_where=instances.c.file.is_not(None),
)

# One row a revision of a study; its id is also the id of the first workflow that runs it.
jobs = sa.Table(
    "cxr_jobs",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("study_uid", sa.String(64), nullable=False, index=True),
    sa.Column("revision", sa.Integer, nullable=False),
    sa.Column("state", sa.String(16), nullable=False, index=True),
    sa.Column("runs", sa.Integer, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("created", sa.Float, nullable=False, index=True),
    sa.Column("updated", sa.Float, nullable=False, index=True),
    sa.Column("last_received", sa.Float, nullable=False),
    sa.Column("reason", sa.JSON),  # records.Reason, of a failure or of a result without a report
    sa.Column("steps", sa.JSON, nullable=False),  # records.Step
    sa.Column("skipped", sa.JSON, nullable=False),  # records.Skipped
    sa.Column("image", sa.JSON),  # records.ReadImage
    sa.Column("report", sa.JSON),  # records.StoredReport
    sa.Column("documents", sa.JSON, nullable=False),  # SOP Instance UIDs of what was written of it
    sa.Column("findings", sa.JSON),  # findings.StoredFindings
    # `place` of its findings; what stands here says where a job stands that has none.
    sa.Column("triage", sa.Float, nullable=False, server_default=sa.text("0.5")),
)

# The order by priority, in which lists are paged.
triage_order = sa.Index("cxr_jobs_triage", jobs.c.triage.desc(), jobs.c.created.desc(), jobs.c.id)

# One row a replica that shares the database; `seen` is when it last showed that it lives.
nodes = sa.Table(
    "cxr_nodes",
    metadata,
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("seen", sa.Float, nullable=False),
)

# One row: the id of the state folder whose spool holds the files that `instances` names.
state_folder = sa.Table("cxr_state_folder", metadata, sa.Column("id", sa.String(64), primary_key=True))

# One row an audit log: its last event, as far as it was noted here.
audit_heads = sa.Table(
    "cxr_audit_heads",
    metadata,
    sa.Column("log", sa.String(64), primary_key=True),
    sa.Column("number", sa.BigInteger, nullable=False),
    sa.Column("hash", sa.String(64), nullable=False),
    sa.Column("updated", sa.Float, nullable=False),
)

# One row an answer that is kept for a while (kept.py); `data` is null while it is made.
kept = sa.Table(
    "cxr_kept",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("owner", sa.String(64), nullable=False, index=True),
    sa.Column("digest", sa.String(64), nullable=False),
    sa.Column("holder", sa.String(32), nullable=False),
    sa.Column("data", sa.LargeBinary),
    sa.Column("bytes", sa.BigInteger, nullable=False),
    sa.Column("expires", sa.Float, nullable=False, index=True),
)

# One row a job and destination.
deliveries = sa.Table(
    "cxr_deliveries",
    metadata,
    sa.Column("job", sa.String(64), primary_key=True),
    sa.Column("destination", sa.String(64), primary_key=True),
    sa.Column("state", sa.String(16), nullable=False),  # pending, delivered, failed
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("error", sa.String(64)),
    sa.Column("updated", sa.Float, nullable=False),
)
