-- A full snapshot removes what it did not show, unless it cannot be known what it showed.
alter table store.source_topic add column keeps_rows text; -- why the last one removed no rows, with what to do
