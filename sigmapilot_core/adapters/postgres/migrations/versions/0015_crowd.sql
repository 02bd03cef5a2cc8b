-- null where draws were not shrunk
ALTER TABLE pool_selections
    ADD COLUMN crowd_mean_r DOUBLE PRECISION,
    ADD COLUMN crowd_episodes DOUBLE PRECISION;
