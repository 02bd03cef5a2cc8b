-- who pinned, renamed or unpinned an account, when and why
CREATE TABLE hl_pinned_changes (
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    address TEXT NOT NULL,
    action TEXT NOT NULL,
    nickname TEXT,
    changed_by TEXT NOT NULL,
    via TEXT NOT NULL,
    reason TEXT,
    changed_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_hl_pinned_changes PRIMARY KEY (id),
    CONSTRAINT ck_hl_pinned_changes_action CHECK (action IN ('pin', 'rename', 'unpin')),
    CONSTRAINT ck_hl_pinned_changes_reason CHECK (action <> 'unpin' OR length(btrim(reason)) BETWEEN 1 AND 500)
);
