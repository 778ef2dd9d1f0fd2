-- Tables that were truncated at their sources (清空), and retirements that wait to be confirmed.

-- Noted by normalisers where they read it, once, whatever is read again; the clock states it to every shard.
create table store.truncation (
    topic       text not null,
    epoch       integer not null,               -- of its position
    partition   integer not null,
    "offset"    bigint not null,
    appended_at bigint not null,                -- its message's time, ms
    stated      boolean not null default false, -- the shards are told which rows are unsure, or that all are gone
    settled     boolean not null default false, -- whoever was not loaded again was said to be gone, or a later truncation or snapshot says it
    primary key (topic, epoch, partition, "offset")
);
create index truncation_open on store.truncation (topic) where not settled;

-- By these a load is over that followed a truncation.
alter table store.completeness
    add column row_at bigint not null default 0,   -- time of the message of the newest row that counted and may end a load, ms
    add column load_at bigint not null default 0;  -- everything sent before a message of this time has arrived, ms

-- A floor is weighed before it is sent: what it would remove may have to be confirmed.
alter table store.statement
    add column weighed boolean not null default true,
    add column held text;                       -- why it is not sent, with what to do
