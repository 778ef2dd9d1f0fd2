-- The agencies (部门) whose rows this base may hold, as the first process that named them registered them. A process that says something
-- else of one, or does not know one, is refused: the code is part of every id and stored value, and identity rests on what it decides of.

create table store.agency (
    code        smallint primary key,
    name        text not null unique,
    decides     text not null               -- fields of which its word decides, separated by commas
);
