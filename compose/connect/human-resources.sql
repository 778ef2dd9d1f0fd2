-- The exchange database (前置库) of human resources (人力资源社会保障): PostgreSQL 15 or newer, with wal_level = logical.
-- Copy what your system lacks. What columns and codes mean: schemas/contracts/human-resources.md.

create table ab01 (
    aab001 text primary key,             -- Unit number in this system (单位编号).
    aab003 text,                         -- Unified social credit code or organisation code.
    aab004 text,                         -- Name.
    aab019 text,                         -- Type (单位类型): 10, 20, 30, 50.
    aab301 text                          -- Division, six digits.
);

create table ac01 (
    aac001 bigint primary key,           -- Person number in this system (个人编号).
    aac058 text,                         -- Document type (证件类型).
    aac147 text,                         -- Document number (证件号码).
    aac003 text,                         -- Name.
    aac004 text,                         -- Sex.
    aac005 text,                         -- Ethnicity.
    aac006 date,                         -- Birth date.
    aac009 text,                         -- Hukou type (户口性质): 10, 20, …
    aac016 text,                         -- Employment status (就业状态), GB/T 2261.4.
    aac012 text,                         -- Post (岗位): 1 worker, 2 cadre.
    aac161 text,                         -- Nationality (国籍), ISO alpha-3.
    aae005 text,                         -- Phone.
    aae006 text,                         -- Address.
    aab301 text                          -- Division, six digits.
);

create table ac21 (
    bac001 bigint primary key,           -- Key.
    aac058 text,                         -- Document type.
    aac147 text,                         -- Document number.
    aac003 text,                         -- Name.
    aac006 date,                         -- Birth date.
    aab001 text,                         -- Unit number.
    aab004 text,                         -- Name of the unit.
    aab019 text,                         -- Type of the unit.
    aac013 text,                         -- Form (用工形式): 1 full time, 2 part time, 3 intern, 4 dispatched.
    aae030 date,                         -- First day.
    aae031 date,                         -- Last day.
    aab301 text                          -- Division, six digits.
);

create table ac02 (
    baz001 bigint primary key,           -- Key.
    aac002 text,                         -- Social security number.
    aac003 text,                         -- Name.
    aae140 text,                         -- Scheme (险种).
    aac031 text,                         -- Status (缴费状态): 1 paying, 2 suspended, 3 ended.
    aae030 date,                         -- First day of the relation.
    aae031 date,                         -- Last day of the relation.
    aac049 integer,                      -- First month, yyyymm.
    aae003 integer,                      -- Paid through this month, yyyymm.
    aab001 text,                         -- Unit number of the paying unit.
    aae180 numeric(12, 2),               -- Monthly base (缴费基数), yuan.
    aae100 boolean,                      -- Whether the row is valid.
    aae036 timestamp,                    -- When the clerk handled it.
    utime timestamptz,                   -- When the row was last written.
    zp text,                             -- A photo nobody fills.
    note text,                           -- A remark.
    aab301 text,                         -- Place of enrolment, six digits.
    aaz289 text,                         -- 1 while a transfer is in progress (转移接续).
    aaz288 integer                       -- Deferral approved until this month (缓缴), yyyymm.
);

create table ac60 (
    aaz257 bigint primary key,           -- Key.
    aac147 text,                         -- Document number.
    aac003 text,                         -- Name.
    aae140 text,                         -- Scheme that pays.
    aaa036 text,                         -- Kind: pension, unemployment, injury, maternity.
    aae030 date,                         -- First day.
    aae031 date,                         -- Last day.
    aae116 text,                         -- Status: 1 drawing, 2 suspended, 3 ended.
    aab301 text                          -- Place, six digits.
);

create table az01 (
    aaz500 text primary key,             -- Card number.
    aac147 text,                         -- Document number.
    aac003 text,                         -- Name.
    aaz502 text,                         -- Status: 1 active, 2 lost, 3 cancelled.
    aae030 date                          -- Issued on.
);

create table heartbeat (
    id bigint primary key,               -- Always 1.
    ts timestamptz                       -- When it was written.
);

-- With the image before, a change of a number is seen as a correction, and a delete says whose row went.
alter table ab01 replica identity full;
alter table ac01 replica identity full;
alter table ac21 replica identity full;
alter table ac02 replica identity full;
alter table ac60 replica identity full;
alter table az01 replica identity full;
alter table heartbeat replica identity full;

-- Who the connector is, and what it may do: read the tables, follow the log, write the heartbeat.
create role human_resources_connector login replication password 'secret';
grant select on ab01, ac01, ac21, ac02, ac60, az01, heartbeat to human_resources_connector;
grant insert, update on heartbeat to human_resources_connector;
create publication canbao for table ab01, ac01, ac21, ac02, ac60, az01, heartbeat;
