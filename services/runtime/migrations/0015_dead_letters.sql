-- What operators did with dead letters: who, why, with which of them, and what came of it. Nothing of any letter's content.

create table store.dead_letter_act (
    id        bigint generated always as identity primary key,
    act       text not null check (act in ('replay', 'expire')),
    chosen    jsonb not null,                   -- sources, class, table, column, since or before, as they were typed
    who       text not null,                    -- the operator's account
    why       text not null,
    began_at  timestamptz not null default now(),
    ended_at  timestamptz,                      -- null where it was cut short
    letters   bigint,                           -- that it concerned
    check (num_nulls(ended_at, letters) in (0, 2))
);
