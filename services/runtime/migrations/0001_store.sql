-- The store: what the registry keeps. Only the registry writes these tables; others read the views of schema "base".
-- `shard` leads every key, so that the same statements run on one server and on a database distributed by shard.
-- Hot rows are narrow (bytes, small integers, no JSON) and no index is on a column that changes with them.
create schema store;

-- One row per shard: how far its log has been applied, by whom, and what the shard knows besides its persons.
create table store.shard (
    shard       smallint primary key,
    position    bigint not null default 0,      -- next offset of person.records to apply
    owner       integer,                        -- backend that applies it
    outbox_next bigint not null default 0,      -- next sequence of store.outbox
    messages    bigint not null default 0,      -- messages it has ever sent to shards
    state       bytea not null                  -- domain ShardState
) with (fillfactor = 50);

-- One row per person, and one with person = 16 zero bytes for members whose person lives in another neighbourhood.
create table store.person (
    shard       smallint not null,
    anchor      bytea not null,                 -- neighbourhood: latent id of the number, or record id
    person      bytea not null,                 -- person id
    standing    smallint not null,              -- 1 holder, 2 apart, 3 provisional, 0 away
    number      bigint,                         -- the 17 digits before the check character, for a holder
    former      bigint[],                       -- numbers before corrections
    name        text,
    sex         smallint,
    birth       date,
    ethnicity   smallint,
    hukou       bigint,                         -- 12-digit division
    residence   bigint,
    region      smallint,                       -- city they count in
    county      integer not null,               -- six digits of the place they count in; 0 unknown
    flags       smallint not null,              -- what they count as, see runtime::store::counters
    death       date,
    hukou_status smallint,
    marital     smallint,
    occupation  smallint,
    nationality text,
    unit        text,
    unit_name   text,
    card        boolean,
    phone       text,
    address     text,
    provenance  bytea,                          -- per golden field the position of its record in `members`, 255 for none
    due         date,                           -- next date on which findings may change by themselves
    open_about  smallint[],                     -- open findings: rule * 256 + scheme
    open_since  date[],
    findings    bytea,                          -- open findings in full
    published   bigint not null,                -- digest of the state in person.registry
    members     bytea not null,                 -- the latest version of each member record
    primary key (shard, anchor, person)
) with (fillfactor = 80);
alter table store.person alter column members set storage main;

-- Where each source record was last claimed. Touched only when a record is new, moves or is deleted.
create table store.directory (
    record      bytea primary key,
    shard       smallint not null,
    anchor      bytea not null,
    epoch       smallint not null,
    partition   smallint not null,
    "offset"    bigint not null,
    mapping     smallint not null,
    deleted     boolean not null
) with (fillfactor = 90);

create table store.enrolment (
    shard       smallint not null,
    anchor      bytea not null,
    record      bytea not null,                 -- the source record that states it
    person      bytea not null,
    scheme      smallint not null,
    status      smallint not null,
    place       bigint not null,
    unit        text,
    starts      date,
    ends        date,
    first_month integer,                        -- year * 12 + month - 1
    paid_through integer,
    deferred_until integer,
    transferring boolean not null,
    primary key (shard, anchor, record)
) with (fillfactor = 85);

-- Employers: entities of their own; persons' findings never read them.
create table store.employer (
    shard       smallint not null,
    record      bytea not null,
    epoch       smallint not null,
    partition   smallint not null,
    "offset"    bigint not null,
    mapping     smallint not null,
    agency      smallint not null,
    city        smallint not null,
    unit        text,
    code        text,
    name        text,
    kind        smallint,
    place       bigint,
    deleted     boolean not null,
    primary key (shard, record)
);

-- Who is due on which date: separate from the hot row, which then needs no index on a changing column.
create table store.due (
    shard       smallint not null,
    day         date not null,
    anchor      bytea not null,
    person      bytea not null,
    primary key (shard, day, anchor, person)
);

-- Counts by shard and county, summed when read: a city's counter would be a hot row.
create table store.counter (
    shard       smallint not null,
    county      integer not null,               -- six digits; 0 unknown
    measure     smallint not null,              -- see runtime::store::counters
    value       bigint not null,
    primary key (shard, county, measure)
) with (fillfactor = 50);

-- The books: what became of each message of person.records that came from a source partition.
create table store.books (
    shard       smallint not null,
    agency      smallint not null,
    city        smallint not null,
    "table"     text not null,
    partition   smallint not null,
    outcome     smallint not null,              -- 1 applied, 2 superseded, 3 repeated
    value       bigint not null,
    primary key (shard, agency, city, "table", partition, outcome)
) with (fillfactor = 50);

-- What subscribers were told. Only what was announced has a row.
create table store.announced (
    shard       smallint not null,
    anchor      bytea not null,
    person      bytea not null,
    about       smallint not null,              -- rule * 256 + scheme
    finding     bytea not null,                 -- finding id
    revision    integer not null,
    open        boolean not null,
    region      smallint not null,
    body        bytea not null,                 -- domain Told
    primary key (shard, anchor, person, about)
) with (fillfactor = 80);

-- Persons whose open findings differ from what was told, until every source concerned is complete past `facts_at`.
create table store.pending (
    shard       smallint not null,
    anchor      bytea not null,
    person      bytea not null,
    facts_at    bigint not null,                -- broker append time, ms
    agency      smallint,                       -- the source it waits for, once known: not looked at again before that one is complete
    city        smallint,
    primary key (shard, anchor, person)
);

-- Findings told elsewhere about persons who have come to a neighbourhood: opening them there is no news. Short-lived.
create table store.carried (
    shard       smallint not null,
    anchor      bytea not null,
    about       smallint not null,              -- rule * 256 + scheme
    arrived_at  bigint not null,                -- ms
    primary key (shard, anchor, about)
);

-- Decisions of reviewers (复核决定), the same in every shard once all have heard them.
create table store.decision (
    shard       smallint not null,
    id          bigint not null,                -- the statement that made it
    verdict     smallint,                       -- 1 same, 2 different; null: withdrawn
    record      bytea,
    other       bytea,
    number      bigint,                         -- for one person: the number they keep
    primary key (shard, id)
);

-- Where guest copies are: a decision on a record must reach the neighbourhoods that hold copies of it. Few rows.
create table store.guest (
    shard       smallint not null,
    record      bytea not null,
    anchor      bytea not null,
    primary key (shard, record, anchor)
);

-- Events on their way to the broker, in order per shard; the publisher deletes what it has published.
create table store.outbox (
    shard       smallint not null,
    sequence    bigint not null,
    topic       text not null,
    key         bytea not null,
    headers     bytea,                          -- CloudEvents attributes
    value       bytea,
    primary key (shard, sequence)
);

-- Messages between shards, relayed into person.records by the sender's owner and deleted once the broker has them.
create table store.message (
    shard       smallint not null,
    sequence    bigint not null,
    receiver    smallint not null,
    value       bytea not null,
    primary key (shard, sequence)
);

-- Every input of every shard, appended and kept: audit, replay, verify, "as known then". No index: it is read in whole.
create table store.source_log (
    shard       smallint not null,
    position    bigint not null,                -- offset in person.records
    logged_at   timestamptz not null,           -- when the broker appended it
    kind        smallint not null,              -- 1 change, 2 entity, 3 message, 4 control
    outcome     smallint not null,              -- 1 applied, 2 superseded, 3 repeated, 4 control
    record      bytea,
    agency      smallint,
    city        smallint,
    "table"     text,
    epoch       smallint,
    partition   smallint,
    "offset"    bigint,
    body        bytea not null                  -- the message as framed
) partition by range (logged_at);

-- The month's part of the log; called before a batch writes into a month it has not seen.
create function store.ensure_source_log(month date) returns void language plpgsql set timezone = 'UTC' as $$
declare
    starts date := date_trunc('month', month);
    part text := 'source_log_' || to_char(starts, 'YYYY_MM');
begin
    if to_regclass('store.' || part) is null then
        execute format('create table if not exists store.%I partition of store.source_log for values from (%L) to (%L)',
                       part, starts, (starts + interval '1 month')::date);
    end if;
exception when duplicate_table then null;
end $$;

-- Source topics as the normalisers found them. A held topic is not read until an operator accepts it.
create table store.source_topic (
    topic       text primary key,
    partitions  integer not null,
    epoch       smallint not null default 0,
    replay      integer not null default 0,     -- raised by an operator to have the topic read again from its start
    started     boolean not null default false, -- offsets were committed since it was recorded or begun anew
    held        text                            -- why, with the command to run
);

-- The clock's memory: completeness rows seen per source, the last business date it sent, and what operators asked for.
create table store.completeness (
    agency      smallint not null,
    city        smallint not null,
    snapshot_passed boolean not null default false, -- the operator stated it, so that rows count that prove nothing
    until       bigint not null default 0,      -- ms; tolerance subtracted; 0 before the first full snapshot has passed
    seen        bigint not null default 0,      -- newest completeness row counted, ms; beyond `until` it is still to be worked off
    primary key (agency, city)
);

create table store.clock (
    only_row    boolean primary key default true check (only_row),
    business_date date                          -- every shard's log holds this tick
);
insert into store.clock default values;

create table store.statement (
    id          bigint generated always as identity primary key,
    made_at     timestamptz not null default now(),
    kind        text not null,                  -- business-date, go-live, snapshot, snapshot-passed, decide, undecide: see runtime::statements
    body        jsonb not null,
    noticed     text,                           -- the connector's notification it was made of: topic/partition/offset/table
    sent_at     timestamptz,                    -- when every shard had applied it
    refused     text                            -- why it was not sent
);
create unique index statement_noticed on store.statement (noticed) where noticed is not null;

-- Raised when the database is restored from a backup: sequences of store.outbox then differ from what was published.
create table store.publisher (
    only_row    boolean primary key default true check (only_row),
    outbox_epoch integer not null default 0
);
insert into store.publisher default values;
