-- What waits, waits per finding: one row per person and finding, each with its own facts and its own source.
create table store.pending_finding (
    shard       smallint not null,
    anchor      bytea not null,
    person      bytea not null,
    about       smallint not null,              -- rule * 256 + scheme
    facts_at    bigint not null,                -- broker append time, ms
    agency      smallint,                       -- the source it waits for, once known: not looked at again before that one is complete
    city        smallint,
    primary key (shard, anchor, person, about)
);
insert into store.pending_finding (shard, anchor, person, about, facts_at)
select p.shard, p.anchor, p.person, a.about, p.facts_at from store.pending p
cross join lateral (
    select unnest(b.open_about) from store.person b where b.shard = p.shard and b.anchor = p.anchor and b.person = p.person
    union
    select t.about from store.announced t where t.shard = p.shard and t.anchor = p.anchor and t.person = p.person
) as a(about);
drop table store.pending;
alter table store.pending_finding rename to pending;
alter index store.pending_finding_pkey rename to pending_pkey;

-- Work that goes once through a whole shard, in slices behind live traffic: shown here, kept in the shard's state.
create table store.pass (
    shard       smallint not null,
    place       smallint not null,              -- 0 is being done
    work        text not null,                  -- snapshot, policy, go-live
    about       text not null,                  -- the table, the version, the region
    done        bigint not null,                -- neighbourhoods
    primary key (shard, place)
);
