-- Which runs made what a part of the model holds, as it stood when the part was first published.
CREATE TABLE model_part_runs (
    part text NOT NULL,
    version integer NOT NULL,
    asset text NOT NULL,
    run_id text NOT NULL,
    materialized_at timestamptz NOT NULL,
    CONSTRAINT pk_model_part_runs PRIMARY KEY (part, version, asset)
);
