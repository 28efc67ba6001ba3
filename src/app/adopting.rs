//! Beginning, in the background, the histories of alerts that are older than histories are.

use std::time::Duration;

use tokio::{sync::watch, time::sleep};

use crate::operator::Operator;

/// How long after an attempt that failed the next one is.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Begins them, until all are begun or the server is told to stop; the next start goes on.
pub async fn run(operator: Operator, mut is_stopping: watch::Receiver<bool>) {
    let adopting = async {
        while let Err(error) = operator.adopt_alerts().await {
            let error = format!("{:#}", anyhow::Error::from(error));
            tracing::warn!(error, "can't begin the histories of older alerts, trying again");
            sleep(AGAIN_AFTER).await;
        }
    };
    tokio::select! {
        // Also when whoever could tell is gone.
        _ = is_stopping.wait_for(|is_stopping| *is_stopping) => {}
        () = adopting => {}
    }
}
