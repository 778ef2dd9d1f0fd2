-- The members of a person with very many records, one row each: under a number that everybody uses one more record writes one row. The
-- members of everybody else stay in their person's row, which then holds null.
create table store.member (
    shard       smallint not null,
    anchor      bytea not null,
    person      bytea not null,
    record      bytea not null,
    sender      bytea not null,                 -- of a guest copy: the shard, one byte, and the neighbourhood that sent it; empty at home
    body        bytea not null,                 -- domain Member
    primary key (shard, anchor, person, record, sender)
) with (fillfactor = 90);

alter table store.person alter column members drop not null;
