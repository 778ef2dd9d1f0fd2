-- The epochs of each source topic's positions (domain::epoch): the epoch of a message is looked up here by its partition and offset.
-- Only `canbao source accept` adds rows; none is ever changed.
create table store.source_epoch (
    topic       text not null references store.source_topic on delete cascade,
    epoch       smallint not null,
    begins      bigint[] not null,              -- by partition, the first offset that may belong to it; 0 where none is listed
    restart     boolean not null default false, -- the topic was created anew: offsets of earlier epochs are no places in it
    who         text not null,                  -- the operator's account; 'normaliser' for the first
    why         text not null,
    stated_at   timestamptz not null default now(),
    primary key (topic, epoch)
);
-- Where epochs changed between two partitions was not recorded before: topics go on in the one they stand in.
insert into store.source_epoch (topic, epoch, begins, who, why)
select topic, epoch, '{}', 'migration', 'in force when epochs began to be recorded' from store.source_topic;

alter table store.source_topic
    drop column epoch,
    add column tolerated bigint[] not null default '{}'; -- by partition, the offset below which the operator accepted dead letters

-- What each revision of a dialect said when it was first used; one revision stands for one content.
create table store.mapping (
    agency      smallint not null,
    dialect     text not null,
    cities      text not null,                  -- as the file lists them
    file        text not null,                  -- its name without the folder
    revision    integer not null,
    digest      text not null,                  -- SHA-256 of what the file says
    recorded_at timestamptz not null default now(),
    primary key (agency, dialect, cities, file, revision)
);
