//! Alerts that are older than histories are.

use redflag::domain::{AlertPatch, EventType, NewAlert};

use super::history::kinds;
use super::on_every_store;
use super::world::{World, key, text};
use crate::support::DatabaseKind;

on_every_store!(old_alerts_get_a_first_event_and_are_sound_from_then_on);

/// Makes the database what the version before left behind: alerts, and no events.
async fn forget_history(world: &World) {
    let (drop_triggers, zeros) = match world.database.kind() {
        DatabaseKind::Sqlite => ("DROP TRIGGER alert_events_not_deleted", "zeroblob(32)"),
        DatabaseKind::Postgres => {
            ("DROP TRIGGER alert_events_immutable ON alert_events", "decode(repeat('00', 32), 'hex')")
        }
    };
    world
        .database
        .execute(&format!(
            "{drop_triggers}; DELETE FROM alert_events; UPDATE event_heads SET position = 0, hash = {zeros}; \
             UPDATE alerts SET sequence = 0, closed_at = NULL, closed_by = NULL"
        ))
        .await;
}

async fn old_alerts_get_a_first_event_and_are_sound_from_then_on(world: &World) {
    let mut alerts = Vec::new();
    for count in 0..205 {
        alerts.push(world.flag(NewAlert { title: text(&count.to_string()), ..world.alert() }).await.id);
    }
    let close = AlertPatch { status: Some(key("RESOLVED")), ..AlertPatch::default() };
    let closed = world.update(alerts[7], &close).await.unwrap();
    forget_history(world).await;
    assert_eq!(world.service().adopt_alerts().await.unwrap(), 205);
    assert_eq!(world.service().adopt_alerts().await.unwrap(), 0);
    world.assert_sound().await;
    assert!(kinds(world).await.iter().all(|kind| *kind == EventType::Flagged));
    let adopted = world.read(alerts[7]).await.unwrap();
    assert_eq!((adopted.version, adopted.updated_at, adopted.sequence), (2, closed.updated_at, 1));
    let reopen = AlertPatch { status: Some(key("FLAGGED")), ..AlertPatch::default() };
    world.update(alerts[7], &reopen).await.unwrap();
    world.update(alerts[8], &close).await.unwrap();
    world.assert_sound().await;
}
