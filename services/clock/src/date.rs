//! The loop of business dates.

use crate::decide::{ticks, too_far};
use crate::{Shared, now};
use domain::date::Day;
use domain::input::Control;
use runtime::config::BusinessDateSource;
use runtime::health::Check;
use runtime::shutdown::Shutdown;
use std::time::Duration;

/// How often the calendar is looked at.
const LOOK: Duration = Duration::from_millis(500);

/// Runs until shutdown. What was `sent` last is sent once more when it starts.
pub(crate) async fn run(shared: Shared, mut sent: Option<Day>, check: Check, mut shutdown: Shutdown) -> anyhow::Result<()> {
    let mut is_first = true;
    let is_manual = shared.settings.clock.business_date == BusinessDateSource::Manual;
    while !shutdown.requested() {
        // Where dates are manual, the statements' loop moves them.
        let today = if is_manual { sent } else { Some(now().day_in_shanghai()) };
        if let Some(today) = today.filter(|today| is_first || Some(*today) > sent) {
            if let Some(ahead) = sent.filter(|sent| *sent > today) {
                tracing::warn!(%today, sent = %ahead, "the business date is ahead of the calendar and stays there");
            }
            // A date that was confirmed meanwhile is the statements' loop's doing.
            if !is_first && sent.is_some_and(|sent| too_far(sent, today).is_some()) {
                sent = sent.max(stored(&shared).await);
            }
            let held = sent.and_then(|sent| too_far(sent, today));
            say(&shared, &check, held.as_deref()).await;
            if (is_first || held.is_none()) && tick(&shared, sent, today, &mut shutdown).await? {
                sent = if held.is_some() { sent } else { sent.max(Some(today)) };
            }
        } else if is_first {
            say(&shared, &check, None).await;
        }
        is_first = false;
        shutdown.sleep(LOOK).await;
    }
    Ok(())
}

async fn stored(shared: &Shared) -> Option<Day> {
    shared.store.business_date().await.ok().flatten()
}

/// Says in readiness, and where `canbao lag` finds it, why the date does not follow the wall clock; in the log when that is new.
async fn say(shared: &Shared, check: &Check, held: Option<&str>) {
    match held {
        None => check.pass(),
        Some(why) => check.fail(why),
    }
    match shared.store.save_date_held(held).await {
        Ok(true) if held.is_some() => tracing::error!(why = held, "the business date does not follow the wall clock"),
        Ok(_) => {}
        Err(error) => tracing::warn!(%error, "why the business date stands still could not be saved"),
    }
}

/// Sends the ticks up to `today` and saves it; `false` when they have to be sent again.
async fn tick(shared: &Shared, sent: Option<Day>, today: Day, shutdown: &mut Shutdown) -> anyhow::Result<bool> {
    let ticks = ticks(sent, today);
    let Some(reached) = ticks.last().copied() else {
        return Ok(true);
    };
    if !shared
        .log
        .send(ticks.into_iter().map(Control::BusinessDate).collect(), shutdown)
        .await?
    {
        return Ok(false);
    }
    match shared.store.save_business_date(reached).await {
        Ok(()) => {
            tracing::info!(date = %reached, "business date sent");
            Ok(true)
        }
        Err(error) => {
            tracing::warn!(%error, "the business date could not be saved and is sent again");
            Ok(false)
        }
    }
}
