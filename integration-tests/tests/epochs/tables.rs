//! Topics that wait because of the table they hold: what they print lets them be read on, from their beginning.

use super::SERVICE;
use super::register::Register;
use anyhow::ensure;
use integration_tests::servers::Servers;
use std::path::Path;

/// A second topic of a table waits, and by the printed command it takes the place of the first.
pub async fn second_topic_replaces_the_first(servers: &mut Servers) -> anyhow::Result<()> {
    let first = Register::make(servers, 3209, 1).await?;
    for key in 0..4 {
        first.put(0, key, "old street")?;
    }
    first.is(servers, &[(0, Some("old street")), (3, Some("old street"))]).await?;
    // Another engine spells its names in capitals.
    let second = Register::named(3209, "HR.CZRK", 2).await?;
    for key in 0..2 {
        second.put(1, key, "new street")?;
    }
    second.delete(0, 2)?;
    let waits = second.waits(servers).await?;
    ensure!(waits.contains(first.topic()), "{waits}");
    ensure!(
        !servers.services.canbao(&["source", "accept", second.topic()])?,
        "accepted as it is"
    );
    // Whatever it holds counts for nothing while it waits.
    first.put(0, 0, "newer street")?;
    first
        .is(servers, &[(0, Some("newer street")), (2, Some("old street"))])
        .await?;
    Register::run_printed(servers, &waits, "--replaces")?;
    let after = [
        (0, Some("new street")),
        (1, Some("new street")),
        (2, None),
        (3, Some("old street")),
    ];
    second.is(servers, &after).await?;
    // From now on the first is nobody's.
    first.put(0, 3, "nobody's street")?;
    second.put(1, 1, "newest street")?;
    second
        .is(servers, &[(1, Some("newest street")), (3, Some("old street"))])
        .await?;
    ensure!(
        !servers.services.canbao(&["source", "accept", first.topic()])?,
        "read again beside the second"
    );
    Ok(())
}

/// Tables that no dialect names wait, and hold nobody else; so does a second topic. A dialect and a template let all be read.
pub async fn settings_name_tables(servers: &mut Servers) -> anyhow::Result<()> {
    let (first, other) = (
        Register::make(servers, 3210, 1).await?,
        Register::make(servers, 3211, 1).await?,
    );
    let undeclared = Register::named(3211, "public.own_register", 1).await?;
    let useless = Register::named(3211, "public.flyway_history", 1).await?;
    for key in 0..3 {
        first.put(0, key, "street")?;
        undeclared.put(0, 10 + key, "own street")?;
    }
    first.is(servers, &[(2, Some("street"))]).await?;
    let second = Register::named(3210, "hr.czrk", 1).await?;
    for key in 0..3 {
        second.put(0, 20 + key, "second street")?;
    }
    for key in 0..100 {
        useless.spoil(0, key)?;
    }
    let waits = undeclared.waits(servers).await?;
    ensure!(waits.contains("no dialect maps table own_register"), "{waits}");
    ensure!(useless.waits(servers).await?.contains("`ignored`"), "what to do is said");
    let waits = second.waits(servers).await?;
    ensure!(
        waits.contains("topics.sources") && waits.contains("table = \"...\""),
        "{waits}"
    );
    other.put(0, 0, "street")?;
    other.is(servers, &[(0, Some("street")), (10, None)]).await?;
    first.is(servers, &[(2, Some("street")), (20, None)]).await?;
    ensure!(useless.dead_letters(servers)? == 0, "nothing goes to the dead letters");
    ensure!(!servers.services.canbao(&["source", "list"])?, "what waits is listed as held");
    // As printed.
    let template = waits.split_once("a template ").and_then(|(_, rest)| rest.split_once('}'));
    let template = template.map_or_else(String::new, |(template, _)| {
        format!("{template}}}").replace("...", "own_register")
    });
    let sources = format!("[{template}, \"{{agency}}.{{city}}.*.{{table}}\", \"{{agency}}.{{city}}.*.*.{{table}}\"]");
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../services")
        .join(SERVICE)
        .join("dialects");
    let folder = servers.services.logs().join("own");
    std::fs::create_dir_all(&folder)?;
    let own = std::fs::read_to_string(shipped.join("ga.toml"))?
        .replace("name = \"ga\"", "name = \"own\"")
        .replace("cities = [\"*\"]", "cities = [\"3210\", \"3211\"]\nignored = [\"flyway_*\"]")
        .replace("tables.czrk", "tables.own_register");
    std::fs::write(folder.join("own.toml"), own)?;
    let dialects = format!("{}:{}", shipped.display(), folder.display());
    servers.services.scale(SERVICE, 0)?;
    for program in [SERVICE, "canbao"] {
        servers.services.set(program, "CANBAO_TOPICS__SOURCES", Some(&sources));
        servers.services.set(program, "CANBAO_DIALECTS", Some(&dialects));
    }
    servers.services.scale(SERVICE, 1)?;
    let whole = [(10, Some("own street")), (12, Some("own street"))];
    undeclared.is(servers, &whole).await?;
    second
        .is(servers, &[(20, Some("second street")), (22, Some("second street"))])
        .await?;
    useless.rest(servers).await?;
    ensure!(useless.dead_letters(servers)? == 0, "what is ignored goes nowhere");
    first.put(0, 0, "new street")?;
    first.is(servers, &[(0, Some("new street")), (2, Some("street"))]).await?;
    Ok(())
}
