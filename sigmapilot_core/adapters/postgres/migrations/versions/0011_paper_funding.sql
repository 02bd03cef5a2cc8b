-- Every hour of funding of a paper position, once.
CREATE TABLE paper_funding (
    decision_id uuid NOT NULL,
    hour timestamptz NOT NULL,
    symbol text NOT NULL,
    rate_hourly double precision NOT NULL,
    size numeric NOT NULL,
    usd numeric NOT NULL,
    is_estimated boolean NOT NULL,
    CONSTRAINT pk_paper_funding PRIMARY KEY (decision_id, hour)
);
