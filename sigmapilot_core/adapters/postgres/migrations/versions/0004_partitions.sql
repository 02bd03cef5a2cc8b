ALTER TABLE stream_progress ADD COLUMN epoch BIGINT NOT NULL DEFAULT 0;
ALTER TABLE stream_progress ADD COLUMN owner TEXT;

CREATE TABLE stream_checkpoints (
	partition TEXT NOT NULL,
	seq BIGINT NOT NULL,
	code TEXT NOT NULL,
	state BYTEA NOT NULL,
	updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	CONSTRAINT pk_stream_checkpoints PRIMARY KEY (partition)
);

CREATE TABLE stream_partitions (
	partition TEXT NOT NULL,
	report JSONB NOT NULL,
	updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	CONSTRAINT pk_stream_partitions PRIMARY KEY (partition)
);
