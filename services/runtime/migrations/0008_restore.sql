-- A shard's state ends with the lives of the base (none before the first restore) and the position until which it is silent (0).
update store.shard set state = state || '\x0000'::bytea;

-- Set while the base is made anew from its log, which takes many transactions: nobody works on half a base.
alter table store.publisher add column remaking boolean not null default false;
