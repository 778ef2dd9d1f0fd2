//! What is corrupted in the store, and how it must be named.

/// A corruption.
pub struct Case {
    /// What is done.
    pub name: &'static str,
    /// As SQL; must touch a row.
    pub corruption: &'static str,
    /// How it is named: under which table or topic (`open` for what should be announced), and words of what is said.
    pub said: &'static [(&'static str, &'static str)],
}

const fn case(name: &'static str, corruption: &'static str, said: &'static [(&'static str, &'static str)]) -> Case {
    Case { name, corruption, said }
}

/// Corruptions that are made together.
pub const GROUPS: &[&[Case]] = &[BASE, BOOKS, TOLD, LOG];

const BASE: &[Case] = &[
    case("a golden field changed", "update store.person set name = 'X' where ctid = (select ctid from store.person where standing = 1 and findings is null order by shard, anchor limit 1)", &[("person", "differs in name")]),
    case("a finding removed from its person", "update store.person set findings = null, open_about = null, open_since = null
         where ctid = (select ctid from store.person where findings is not null order by shard, anchor limit 1)", &[("person", "differs in open_about, open_since, findings")]),
    case("the digest of a published state changed", "update store.person set published = 1
         where ctid = (select ctid from store.person where standing = 1 and findings is null order by shard desc, anchor desc limit 1)", &[("person", "differs in published")]),
    case("an enrolment deleted", "delete from store.enrolment where ctid = (select ctid from store.enrolment limit 1)", &[("enrolment", "missing")]),
    case("a directory entry dropped", "delete from store.directory where ctid = (select ctid from store.directory where not deleted limit 1)", &[("directory", "missing")]),
    case("an unread version taken back", "update store.directory set unread_epoch = null, unread_partition = null, unread_offset = null, unread_mapping = null
         where ctid = (select ctid from store.directory where unread_offset is not null order by record limit 1)", &[("directory", "differs in its unread version")]),
    case("an unread version invented", "update store.directory set unread_epoch = 0, unread_partition = 0, unread_offset = 0, unread_mapping = 1
         where ctid = (select ctid from store.directory where unread_offset is null and not deleted order by record desc limit 1)", &[("directory", "differs in its unread version")]),
    case("a due date deleted", "delete from store.due where ctid = (select ctid from store.due limit 1)", &[("due", "missing")]),
    case("somebody due who is nobody", "insert into store.due values (9, '2020-01-01', '\\x01000000000000000000000000000009', '\\x01000000000000000000000000000009')", &[("due", "unexpected")]),
    case("a counter changed", "update store.counter set value = value + 1 where ctid = (select ctid from store.counter where value > 0 limit 1)", &[("counter", "differs in value")]),
    case("a member of a crowd invented", "insert into store.member values (9, '\\x01000000000000000000000000000008', '\\x01000000000000000000000000000008',
         '\\x01000000000000000000000000000009', '', '')", &[("member", "unexpected")]),
    case("a guest invented", "insert into store.guest values (9, '\\x01000000000000000000000000000008', '\\x01000000000000000000000000000009')", &[("guest", "unexpected")]),
    case("an employer invented", "insert into store.employer values (9, '\\x01000000000000000000000000000007', 0, 0, 1, 1, 3, 3201, 'U', null, 'N', 1, null, false)", &[("employer", "unexpected")]),
];

const BOOKS: &[Case] = &[
    case(
        "a counter of the books changed",
        "update store.books set value = value + 1 where ctid = (select ctid from store.books limit 1)",
        &[("books", "the log has")],
    ),
    case(
        "a decision invented in one shard",
        "insert into store.decision values (5, 9900, 1, '\\x01000000000000000000000000000001', '\\x01000000000000000000000000000002', null)",
        &[("decision", "unexpected")],
    ),
    case(
        "a decision lost in one shard",
        "delete from store.decision where shard = 6",
        &[("decision", "missing")],
    ),
    case(
        "a decision changed in one shard",
        "update store.decision set verdict = 3 - verdict where shard = 7 and verdict is not null",
        &[("decision", "differs from what its shard's log says")],
    ),
    case(
        "the text of a policy changed",
        "update store.policy set text = text || '#' where version = (select max(version) from store.policy)",
        &[("policy", "its text is not the one that is named")],
    ),
    case(
        "an agency renamed",
        "update store.agency set name = 'human-resource' where code = 3",
        &[("agency", "code 3 is `human-resource` in the base")],
    ),
    case(
        "an agency that nobody registered",
        "insert into store.agency values (99, 'astronomy', '')",
        &[("agency", "the base knows `astronomy`")],
    ),
    case(
        "messages ever sent + 5",
        "update store.shard set messages = messages + 5 where shard = 3",
        &[("shard", "messages sent, its state has")],
    ),
    case(
        "a position raised beyond the topic",
        "update store.shard set position = position + 1000000 where shard = 4",
        &[("shard", "stands at position")],
    ),
    case(
        "a position lowered under the log",
        "update store.shard set position = (select max(position) from store.source_log where shard = 8) where shard = 8",
        &[("person.records", "behind the position of its shard")],
    ),
    case(
        "a sequence of the outbox lost",
        "update store.shard set outbox_next = outbox_next + 1 where shard = 10",
        &[("publisher.positions", "are gone, and were not published")],
    ),
    case(
        "a sequence of the outbox taken back",
        "update store.shard set outbox_next = outbox_next - 1
         where shard = (select shard from store.shard where outbox_next > 0 and shard > 10 order by shard limit 1)",
        &[("publisher.positions", "the next in the store gets")],
    ),
    case(
        "a row of the outbox invented",
        "insert into store.outbox values (3, 999999, 'findings', '\\x00', null, '\\x00')",
        &[("findings", "cannot be read")],
    ),
    case(
        "a gap in the outbox",
        "insert into store.outbox values (2, 999999, 'nobody', '\\x00', null, null)",
        &[("publisher.positions", "is for a topic that is not published")],
    ),
    case(
        "a message between shards invented",
        "insert into store.message values (3, 999999, 4, '\\x00')",
        &[("message", "cannot be read")],
    ),
    case(
        "a message between shards that was heard, kept",
        "insert into store.message select s.shard, 999998, s.shard, l.body from store.shard s, store.source_log l where s.shard = 5 and l.kind = 3 limit 1",
        &[("message", "cannot be read")],
    ),
    case(
        "a pass invented",
        "insert into store.pass values (3, 0, 'go-live', '3201', 5)",
        &[("pass", "unexpected")],
    ),
    case(
        "the clock's date taken back",
        "update store.clock set business_date = business_date - 1",
        &[("clock", "the logs have")],
    ),
    case(
        "completeness taken back",
        "update store.completeness set until = 1 where ctid = (select ctid from store.completeness limit 1)",
        &[("completeness", "than the clock has stated")],
    ),
    case(
        "a statement invented",
        "insert into store.statement (kind, body, sent_at) values ('undecide', '{\"decision\": 9999}', now())",
        &[("statement", "and the logs lack it")],
    ),
    case(
        "a statement lost",
        "delete from store.statement where id = (select min(id) from store.statement where kind = 'decide' and sent_at is not null)",
        &[("statement", "and was never stated")],
    ),
    case(
        "a skip invented of what was applied",
        "insert into store.refused_entry (shard, position, logged_at, cause, body, skipped_by, reason, skipped_at)
         select shard, position, logged_at, 'x', body, 'x', 'x', now() from store.source_log where shard = 11 and kind = 4 order by position limit 1",
        &[("refused_entry", "the source log has it otherwise")],
    ),
    case(
        "a recorded topic with a partition more",
        "update store.source_topic set partitions = partitions + 1 where topic = (select min(topic) from store.source_topic)",
        &[("source_topic", "are recorded")],
    ),
    case(
        "a truncation moved",
        "update store.truncation set \"offset\" = \"offset\" + 1000 where ctid = (select ctid from store.truncation where stated and not settled limit 1)",
        &[("truncation", "was stated, and the logs lack it")],
    ),
];

const TOLD: &[Case] = &[
    case("an announcement deleted", "delete from store.announced where ctid = (select ctid from store.announced where open order by shard, anchor, person, about limit 1)", &[("open", "open, not announced"), ("findings", "told, not announced")]),
    case("an announcement deleted, and its finding made to wait for ever", "with gone as (delete from store.announced
                       where ctid = (select ctid from store.announced where open order by shard, anchor, person, about limit 1)
                       returning shard, anchor, person, about)
         insert into store.pending (shard, anchor, person, about, facts_at) select shard, anchor, person, about, 9000000000000000 from gone", &[("pending", "rests on facts later than anything that was logged")]),
    case("the same, for a source that is complete", "with gone as (delete from store.announced
                       where ctid = (select ctid from store.announced where open order by shard, anchor, person, about limit 1)
                       returning shard, anchor, person, about)
         insert into store.pending (shard, anchor, person, about, facts_at, agency, city)
         select shard, anchor, person, about, 1, 3, 3201 from gone", &[("pending", "waits for human-resources.3201, which is complete past its facts")]),
    case("a wait invented", "insert into store.pending (shard, anchor, person, about, facts_at, agency, city)
         values (9, '\\x01000000000000000000000000000009', '\\x01000000000000000000000000000009', 513, 9, 3, 3201)", &[("pending", "and nothing differs")]),
    case("an arrival invented", "insert into store.carried values (9, '\\x01000000000000000000000000000009', 513, (select max(until) + 1000 from store.completeness))", &[("carried", "arrived from nowhere")]),
    case("the revision of an announcement changed", "update store.announced set revision = 7
         where ctid = (select ctid from store.announced order by shard desc, anchor desc, person desc, about desc limit 1)", &[("announced", "has columns that do not repeat what was told")]),
    case("an announcement marked closed", "update store.announced set open = false
         where ctid = (select ctid from store.announced where open order by shard desc, anchor desc, person desc, about desc limit 1)", &[("announced", "has columns that do not repeat what was told")]),
    case("the finding of an announcement changed", "update store.announced set finding = '\\x01000000000000000000000000000009'
         where ctid = (select ctid from store.announced where open and revision <> 7 order by shard desc, anchor desc, person desc, about desc limit 1)", &[("announced", "has a finding id that is none"), ("findings", "announced, not told")]),
];

const LOG: &[Case] = &[
    case("the row of an applied version deleted", "delete from store.source_log where (shard, position) = (select shard, position from store.source_log
         where kind = 1 and outcome = 1 order by shard, position limit 1)", &[("person.records", "is missing in the source log")]),
    case("the rows of messages between shards deleted", "delete from store.source_log where kind = 3", &[("shard", "stands in no log")]),
    case("a body replaced by garbage", "update store.source_log set body = '\\x00' where (shard, position) = (select shard, position from store.source_log
         where kind = 1 order by shard, position limit 1)", &[("source_log", "cannot be decoded, and was when it was logged"), ("person.records", "reads otherwise in the source log")]),
    case("a body replaced by that of another row", "update store.source_log set body = (select body from store.source_log where kind = 4 order by shard, position limit 1)
         where (shard, position) = (select shard, position from store.source_log where kind = 1 order by shard desc, position desc limit 1)", &[("source_log", "is logged as another kind of entry")]),
    case("a business date lost in one shard", "delete from store.source_log where (shard, position) = (select shard, max(position) from store.source_log
         where kind = 4 and shard = 20 group by shard)", &[("person.records", "is missing in the source log")]),
    case("every statement lost in one shard", "delete from store.source_log where kind = 4 and shard = 21", &[("shard", "its log lacks a business date that the logs of other shards have")]),
    case("a policy lost in one shard", "delete from store.source_log where kind = 4 and shard = 26 and length(body) > 4000", &[("shard", "its log lacks a policy that the logs of other shards have")]),
    case("a row twice", "insert into store.source_log select * from store.source_log where kind = 4 and shard = 22 order by position limit 1", &[("person.records", "stands twice in the source log")]),
    case("a row moved in time", "update store.source_log set logged_at = logged_at + interval '1 millisecond'
         where (shard, position) = (select shard, min(position) from store.source_log where shard = 23 group by shard)", &[("person.records", "has another time in the source log")]),
    case("an outcome changed", "update store.source_log set outcome = 3 where (shard, position) = (select shard, position from store.source_log
         where kind = 1 and outcome = 1 order by shard desc, position limit 1)", &[("books", "the log has")]),
    case("an outcome that cannot be", "update store.source_log set outcome = 1 where (shard, position) = (select shard, min(position) from store.source_log
         where kind = 4 and shard = 24 group by shard)", &[("source_log", "has an outcome that such an entry cannot have")]),
    case("an entry marked as stepped over", "update store.source_log set outcome = 5 where (shard, position) = (select shard, min(position) from store.source_log
         where kind = 4 and shard = 26 group by shard)", &[("refused_entry", "nobody stated it")]),
    case("a column of a row changed", "update store.source_log set \"offset\" = \"offset\" + 1 where (shard, position) = (select shard, position from store.source_log
         where kind = 1 order by shard, position offset 2 limit 1)", &[("source_log", "has columns that do not repeat its contents")]),
    case("a row invented where the broker has none", "insert into store.source_log select 25, 999999, logged_at, kind, outcome, record, agency, city, \"table\", epoch, partition, \"offset\", body
         from store.source_log where shard = 25 order by position limit 1", &[("person.records", "behind the position of its shard")]),
];
