-- The base in plain SQL: readable columns for other systems. Codes are those of the registration form and of GB/T standards.
create schema base;

create function base.id_text(id bytea) returns text language sql immutable strict as $$ select encode(id, 'hex') $$;

-- The full eighteen characters of a number from the seventeen digits stored (GB 11643, ISO 7064 MOD 11-2).
create function base.number_text(digits bigint) returns text language sql immutable strict as $$
    select d || substr('10X98765432', 1 + (select sum(substr(d, i, 1)::int * (array[7,9,10,5,8,4,2,1,6,3,7,9,10,5,8,4,2])[i])
                                           from generate_series(1, 17) i)::int % 11, 1)
    from (select lpad(digits::text, 17, '0')) as n(d)
$$;

create function base.scheme_name(code int) returns text language sql immutable strict as $$
    select (array['employee-pension','institution-pension','resident-pension','expropriated-farmers-pension','other-pension','unemployment',
                  'employee-medical','resident-medical','rural-cooperative-medical','public-medical','migrant-medical','other-medical',
                  'work-injury','maternity','supplement'])[array_position(array[11,12,17,18,19,21,31,39,38,34,35,36,41,51,99], code)]
$$;

create function base.rule_name(code int) returns text language sql immutable strict as $$
    select (array['never-enrolled','lapsed','double-enrolled','after-death','identity-conflict'])[code]
$$;

create function base.month_text(month int) returns text language sql immutable strict as $$
    select lpad((month / 12)::text, 4, '0') || '-' || lpad((month % 12 + 1)::text, 2, '0')
$$;

-- Persons (人员). One person, one number: `number` is unique among holders.
create view base.person as
select base.id_text(person) as person_id, (array['holder','apart','provisional'])[standing] as standing,
       base.number_text(number) as number, name, sex, birth as birth_date, ethnicity, lpad(hukou::text, 12, '0') as hukou_division,
       lpad(residence::text, 12, '0') as residence_division, region, death as death_date, hukou_status, marital as marital_status,
       occupation, nationality, unit as employer_unit, unit_name as employer_name, card as has_card, phone, address,
       coalesce(cardinality(open_about), 0) as open_findings, shard
from store.person where standing > 0;

-- Enrolments (参保), one per source record.
create view base.enrolment as
select base.id_text(person) as person_id, base.scheme_name(scheme) as scheme, (array['paying','suspended','ended'])[status] as status,
       lpad(place::text, 12, '0') as place_division, unit as employer_unit, starts as start_date, ends as end_date,
       base.month_text(first_month) as first_month, base.month_text(paid_through) as paid_through,
       base.month_text(deferred_until) as deferred_until, transferring, base.id_text(record) as record_id, shard
from store.enrolment;

-- Findings (疑点): open by the rules, and what subscribers were told.
create view base.finding as
select base.id_text(p.person) as person_id, base.rule_name(o.about / 256) as rule, base.scheme_name(o.about % 256) as scheme,
       o.since, p.region, coalesce(a.open, false) as announced, a.revision, base.id_text(a.finding) as finding_id, p.shard
from store.person p
cross join lateral unnest(p.open_about, p.open_since) as o(about, since)
left join store.announced a on a.shard = p.shard and a.anchor = p.anchor and a.person = p.person and a.about = o.about;

-- Former numbers (曾用号码): what a number that is no longer used leads to.
create view base.alias as
select base.number_text(f.former) as number, base.id_text(p.person) as person_id, p.shard
from store.person p cross join lateral unnest(p.former) as f(former);

-- Decisions of reviewers (复核决定) in force.
create view base.decision as
select id as decision, (array['same','different'])[verdict] as verdict, base.id_text(record) as record_id,
       base.id_text(other) as other_record_id, base.number_text(number) as number
from store.decision where shard = 0 and verdict is not null;
