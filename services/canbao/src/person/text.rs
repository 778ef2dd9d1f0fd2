//! A person on a terminal.

use super::{Announcement, Found, Known, Member, OpenFinding};
use crate::output::{Table, or_dash};
use std::fmt::{Result, Write as _};

/// The report as text.
pub fn render(found: &Found) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = render_into(found, &mut text);
    text
}

fn render_into(found: &Found, text: &mut String) -> Result {
    for note in &found.notes {
        writeln!(text, "{note}")?;
    }
    if found.persons.is_empty() {
        return writeln!(text, "nobody in the base is known by that");
    }
    for person in &found.persons {
        if !text.is_empty() {
            text.push('\n');
        }
        render_person(person, text)?;
    }
    Ok(())
}

fn render_person(person: &Known, text: &mut String) -> Result {
    writeln!(
        text,
        "Person {} ({}), shard {}, on {}",
        person.person_id, person.standing, person.shard, person.business_date
    )?;
    writeln!(
        text,
        "number {}, counts in {}",
        or_dash(person.number.as_ref()),
        or_dash(person.region)
    )?;
    if !person.former_numbers.is_empty() {
        writeln!(text, "former numbers {}", person.former_numbers.join(", "))?;
    }
    if let Some(day) = &person.next_due {
        writeln!(text, "looked at again on {day}")?;
    }

    let mut fields = Table::new(["field", "value", "source", "record"]);
    for field in &person.fields {
        fields.row([
            field.name.to_owned(),
            field.value.clone(),
            field.source.clone(),
            field.record.clone(),
        ]);
    }
    section("Golden record", &fields, person.fields.is_empty(), text)?;

    let mut enrolments = Table::new([
        "scheme",
        "status",
        "place",
        "from",
        "until",
        "paid through",
        "source",
        "record",
    ]);
    for enrolment in &person.enrolments {
        let status = if enrolment.transferring {
            format!("{}, transferring", enrolment.status)
        } else {
            enrolment.status.to_owned()
        };
        enrolments.row([
            enrolment.scheme.to_owned(),
            status,
            enrolment.place.clone(),
            or_dash(enrolment.from.as_ref()),
            or_dash(enrolment.until.as_ref()),
            or_dash(enrolment.paid_through.as_ref()),
            enrolment.source.clone(),
            enrolment.record.clone(),
        ]);
    }
    section("Enrolments", &enrolments, person.enrolments.is_empty(), text)?;

    writeln!(
        text,
        "\nOpen findings{}",
        if person.findings.is_empty() { ": none" } else { "" }
    )?;
    for finding in &person.findings {
        render_finding(finding, person, text)?;
    }
    for told in &person.to_clear {
        writeln!(
            text,
            "  finding {} is announced to {} as open and no longer is: it waits for the sources",
            told.finding_id, told.region
        )?;
    }

    let mut members = Table::new(["source", "kind", "key", "epoch/partition/offset/mapping", "record"]);
    for member in &person.members {
        let mut kind = member.kind.to_owned();
        kind.push_str(if member.guest { ", guest" } else { "" });
        kind.push_str(if member.unreadable { ", unreadable" } else { "" });
        let shown = |version: [u64; 4]| version.map(|part| part.to_string()).join("/");
        let mut version = shown(member.version);
        if let Some(unread) = member.unread {
            version = format!("{version}, not read: {}", shown(unread));
        }
        members.row([
            member.source.clone(),
            kind,
            member.key.clone(),
            version,
            member.record.clone(),
        ]);
    }
    section("Source records", &members, person.members.is_empty(), text)?;
    let alike = |member: &Member| {
        let likeness = member.likeness.as_ref()?;
        Some(format!("  {} {}: {likeness}", member.source, member.record))
    };
    let alike: Vec<String> = person.members.iter().filter_map(alike).collect();
    if !alike.is_empty() {
        writeln!(text, "\nNames to look at\n{}", alike.join("\n"))?;
    }
    Ok(())
}

fn section(title: &str, table: &Table, empty: bool, text: &mut String) -> Result {
    if empty {
        return writeln!(text, "\n{title}: none");
    }
    writeln!(text, "\n{title}")?;
    table.render().lines().try_for_each(|line| writeln!(text, "  {line}"))
}

fn render_finding(finding: &OpenFinding, person: &Known, text: &mut String) -> Result {
    write!(text, "  {}", finding.rule)?;
    if let Some(scheme) = finding.scheme {
        write!(text, " {scheme}")?;
    }
    write!(text, " since {}", finding.since)?;
    for detail in [finding.overlap, finding.reason, finding.scope].into_iter().flatten() {
        write!(text, ", {detail}")?;
    }
    if !finding.places.is_empty() {
        let places: Vec<String> = finding.places.iter().map(u16::to_string).collect();
        write!(text, ", in {}", places.join(" and "))?;
    }
    writeln!(text, "\n    finding {}", finding.finding_id)?;
    for [role, source, record] in &finding.evidence {
        let named = person.members.iter().find(|member| member.record == *record);
        let likeness = named.and_then(|member| member.likeness.as_ref());
        let likeness = likeness.map_or_else(String::new, |text| format!(", {text}"));
        writeln!(text, "    {role}: {source} {record}{likeness}")?;
    }
    for source in &finding.claimed_without {
        writeln!(text, "    claimed without the word of {source}")?;
    }
    writeln!(text, "    cleared by: {}", finding.remedy)?;
    match &finding.announced {
        Some(Announcement {
            open: true,
            revision,
            region,
            ..
        }) => {
            let change = if person.waiting {
                "; a change waits for the sources"
            } else {
                ""
            };
            writeln!(text, "    announced to {region}, revision {revision}{change}")
        }
        _ if person.region.is_none() => writeln!(text, "    not announced: nothing says in which region they count"),
        _ if person.waiting => writeln!(text, "    not announced yet: waits for the sources to be complete"),
        _ => writeln!(text, "    not announced: its region is not live"),
    }
}
