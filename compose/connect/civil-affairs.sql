-- The exchange database (前置库) of civil affairs (民政): MariaDB 10.6 or newer, with log_bin, binlog_format = ROW and binlog_row_image = FULL.
-- Copy what your system lacks. What columns and codes mean: schemas/contracts/civil-affairs.md.

create table funeral (
    id bigint primary key,               -- Key.
    sfzh varchar(255) null,              -- Document number (身份证号).
    xm varchar(255) null,                -- Name.
    xb varchar(255) null,                -- Sex.
    csrq date null,                      -- Birth date.
    swrq date null,                      -- Death date.
    hhrq date null                       -- Cremation date (火化日期).
);

create table marriage (
    id bigint primary key,               -- Key.
    sfzh varchar(255) null,              -- Document number.
    xm varchar(255) null,                -- Name.
    hyzk varchar(255) null,              -- Marital status (婚姻状况): 10, 20 to 23, 30, 40, 90.
    djrq date null                       -- Registered on.
);

create table hardship (
    id bigint primary key,               -- Key.
    sfzh varchar(255) null,              -- Document number.
    xm varchar(255) null,                -- Name.
    lb varchar(255) null,                -- Kind (类别): dibao, tekun, orphan.
    ksrq date null,                      -- First day (开始日期).
    jsrq date null,                      -- Last day (结束日期).
    dqh varchar(255) null                -- Division (地区号), six digits.
);

create table batch_control (
    id bigint primary key,               -- Key.
    data_date date null,                 -- The day the data are of (数据日期).
    row_count integer null,              -- Rows loaded.
    loaded_at timestamp(6) null          -- When the load ended.
);

-- Who the connector is, and what it may do: read the tables, and the log from a position that it takes under a lock.
create user civil_affairs_connector identified by 'secret';
grant select on * to civil_affairs_connector;
grant reload, show databases, replication slave, binlog monitor on *.* to civil_affairs_connector;
grant lock tables on * to civil_affairs_connector;
