-- The exchange database (前置库) of public security (公安): PostgreSQL 15 or newer, with wal_level = logical.
-- Copy what your system lacks. What columns and codes mean: schemas/contracts/public-security.md.

create table czrk (
    rybh text primary key,               -- Person number in the register (人员编号).
    gmsfhm text,                         -- Citizen id (公民身份号码).
    xm text,                             -- Name (姓名).
    cym text,                            -- Former name (曾用名).
    xb text,                             -- Sex (性别): 0, 1, 2, 9.
    mz text,                             -- Ethnicity (民族): 01 to 56.
    csrq date,                           -- Birth date (出生日期).
    hjdqh text,                          -- Hukou division (户籍地区划), six digits.
    hjdz text,                           -- Hukou address (户籍地址).
    xzdqh text,                          -- Residence division (现住地区划), twelve digits.
    xzdz text,                           -- Residence address (现住址).
    swrq date,                           -- Death date (死亡日期).
    hkzt text,                           -- State (户口状态): 1 normal, 2 dead, 3 moved out, 4 army, 5 abroad, 6 sentenced.
    lxdh text                            -- Phone (联系电话).
);

create table ldrk (
    ldbh text primary key,               -- Number of the registration (流动编号).
    gmsfhm text,                         -- Citizen id.
    xm text,                             -- Name.
    xb text,                             -- Sex.
    csrq date,                           -- Birth date.
    hjdqh text,                          -- Hukou division, six digits.
    xzdqh text,                          -- Residence division, twelve digits.
    xzdz text,                           -- Residence address.
    djrq date,                           -- Registered on (登记日期).
    yxqz date,                           -- Valid until (有效期至).
    zxrq date,                           -- Cancelled on (注销日期).
    lxdh text                            -- Phone.
);

create table sfhbg (
    bgbh text primary key,               -- Number of the correction (变更编号).
    rybh text,                           -- Person number in the register.
    gmsfhm_old text,                     -- The number that was wrong.
    gmsfhm_new text,                     -- The number that took its place.
    xm text,                             -- Name.
    xb text,                             -- Sex.
    bgrq date                            -- Corrected on (变更日期).
);

create table heartbeat (
    id bigint primary key,               -- Always 1.
    ts timestamptz                       -- When it was written.
);

-- With the image before, a change of a number is seen as a correction, and a delete says whose row went.
alter table czrk replica identity full;
alter table ldrk replica identity full;
alter table sfhbg replica identity full;
alter table heartbeat replica identity full;

-- Who the connector is, and what it may do: read the tables, follow the log, write the heartbeat.
create role public_security_connector login replication password 'secret';
grant select on czrk, ldrk, sfhbg, heartbeat to public_security_connector;
grant insert, update on heartbeat to public_security_connector;
create publication canbao for table czrk, ldrk, sfhbg, heartbeat;
