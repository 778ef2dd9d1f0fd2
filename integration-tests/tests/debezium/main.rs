//! Real connectors: PostgreSQL, MariaDB and Debezium write the topics. One city that changes, and years of a connector's life.

mod city;
mod life;
mod rig;

use integration_tests::on_demand::{self, OnDemand};
use std::process::ExitCode;

fn main() -> ExitCode {
    let city = OnDemand {
        name: "a_city_through_real_connectors",
        part: "debezium",
        asked_by: &["DEBEZIUM"],
    };
    let life = OnDemand {
        name: "a_connectors_life",
        part: "debezium, by name",
        asked_by: &["DEBEZIUM", "DEBEZIUM_LIFE"],
    };
    on_demand::main(vec![
        city.trial(city::one_base_by_both_ways),
        life.trial(life::every_event_of_a_life),
    ])
}
