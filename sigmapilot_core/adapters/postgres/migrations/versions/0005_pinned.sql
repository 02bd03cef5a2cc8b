-- Accounts a person wants followed whatever the leaderboard says; they vote only if they are in the pool.
CREATE TABLE hl_pinned_accounts (
    address text NOT NULL,
    is_custom boolean NOT NULL,
    nickname text,
    pinned_by text NOT NULL,
    pinned_at timestamptz NOT NULL,
    CONSTRAINT pk_hl_pinned_accounts PRIMARY KEY (address),
    CONSTRAINT ck_hl_pinned_accounts_address CHECK (address ~ '^0x[0-9a-f]{40}$')
);

-- the older name of those that are on no leaderboard
CREATE VIEW hl_custom_accounts AS
SELECT address, nickname, pinned_at AS added_at FROM hl_pinned_accounts WHERE is_custom;
