-- The texts of policies that came into force, once each; which one a shard stands under is in its state.
create table store.policy (
    version     integer not null,
    digest      bytea not null,                 -- SHA-256 of the text
    text        text not null,
    primary key (version, digest)
);
