-- A silent source that claims of absence do not wait for, until a day (豁免): recorded by the clock from an operator's statement.

alter table store.completeness
    add column waived_until date,               -- the last day, by the wall clock in China; null when it was taken back, or never waived
    add column waived_by text,                  -- the operator's account
    add column waived_why text;
