CREATE TABLE science_reports (
    kind TEXT NOT NULL,
    computed_at TIMESTAMP WITH TIME ZONE NOT NULL,
    content TEXT NOT NULL,
    CONSTRAINT pk_science_reports PRIMARY KEY (kind, computed_at)
);
