-- What a row of completeness claims is known apart from what it says: by position, not by waiting.
alter table store.completeness
    add column claim bigint not null default 0, -- ms: the source's topics held everything before it; beyond `until` it is still to be worked off
    add column read bigint not null default 0,  -- ms: said by a row that a snapshot read; claimed when that is stated to have ended
    add column waits text;                      -- what keeps it from being complete further on, with the command to run; null: nothing known
update store.completeness set claim = seen;

alter table store.clock
    add column date_held text;                  -- why the business date does not follow the wall clock, with the command to run
