-- hourly funding as it was paid: what a past decision would have cost
CREATE TABLE funding_1h (
    asset TEXT NOT NULL,
    hour TIMESTAMP WITH TIME ZONE NOT NULL,
    rate DOUBLE PRECISION NOT NULL,
    CONSTRAINT pk_funding_1h PRIMARY KEY (asset, hour)
);
