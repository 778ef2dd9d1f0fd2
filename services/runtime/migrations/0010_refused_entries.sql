-- Entries of the shards' logs that the registry could not apply, and the statements by which operators let it step over them
-- (`canbao skip`). The shard waits at an entry without a statement. Rows stay: they are the record of who and why.
create table store.refused_entry (
    shard       smallint not null,
    position    bigint not null,                -- offset in person.records
    logged_at   timestamptz not null,           -- when the broker appended it
    cause       text not null,                  -- why it could not be applied; nothing personal
    body        bytea not null,                 -- the message as framed
    found_at    timestamptz not null default now(),
    skipped_by  text,                           -- the operator's account
    reason      text,
    skipped_at  timestamptz,
    primary key (shard, position),
    check (num_nulls(skipped_by, reason, skipped_at) in (0, 3))
);

-- Outcome 5 of the source log is what was stepped over. Before there was a statement, that was done to whatever could not be decoded.
insert into store.refused_entry (shard, position, logged_at, cause, body, skipped_by, reason, skipped_at)
select shard, position, logged_at, 'cannot be decoded', body, 'migration', 'stepped over before there was a statement', logged_at
from store.source_log where outcome = 5
on conflict do nothing;
