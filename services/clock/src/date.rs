//! The loop of business dates.

use crate::decide::ticks;
use crate::{Shared, now};
use domain::date::Day;
use domain::input::Control;
use runtime::config::BusinessDateSource;
use runtime::shutdown::Shutdown;
use std::time::Duration;

/// How often the calendar is looked at.
const LOOK: Duration = Duration::from_millis(500);

/// Runs until shutdown. What was `sent` last is sent once more when it starts.
pub(crate) async fn run(shared: Shared, mut sent: Option<Day>, mut shutdown: Shutdown) -> anyhow::Result<()> {
    let mut is_first = true;
    let is_manual = shared.settings.clock.business_date == BusinessDateSource::Manual;
    while !shutdown.requested() {
        // Where dates are manual, the statements' loop moves them.
        let today = if is_manual { sent } else { Some(now().day_in_shanghai()) };
        if let Some(today) = today.filter(|today| is_first || Some(*today) > sent) {
            if let Some(ahead) = sent.filter(|sent| *sent > today) {
                tracing::warn!(%today, sent = %ahead, "the business date is ahead of the calendar and stays there");
            }
            if tick(&shared, sent, today, &mut shutdown).await? {
                sent = sent.max(Some(today));
            }
        }
        is_first = false;
        shutdown.sleep(LOOK).await;
    }
    Ok(())
}

/// Sends the ticks up to `today` and saves it; `false` when they have to be sent again.
async fn tick(shared: &Shared, sent: Option<Day>, today: Day, shutdown: &mut Shutdown) -> anyhow::Result<bool> {
    let ticks = ticks(sent, today);
    if !shared
        .log
        .send(ticks.into_iter().map(Control::BusinessDate).collect(), shutdown)
        .await?
    {
        return Ok(false);
    }
    match shared.store.save_business_date(today).await {
        Ok(()) => {
            tracing::info!(today = %sent.unwrap_or(today).max(today), "business date sent");
            Ok(true)
        }
        Err(error) => {
            tracing::warn!(%error, "the business date could not be saved and is sent again");
            Ok(false)
        }
    }
}
