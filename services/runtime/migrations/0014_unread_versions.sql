-- The newest version of a record of which only the key could be read, whatever was claimed since: a version that is older and comes later
-- is placed as unreadable. Null where there was none, which is nearly everywhere. Of a record of which no version was ever read the
-- columns of the claim are zero, and it is deleted.
alter table store.directory
    add column unread_epoch smallint,
    add column unread_partition smallint,
    add column unread_offset bigint,
    add column unread_mapping smallint;
