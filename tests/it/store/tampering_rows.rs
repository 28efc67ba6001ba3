//! What somebody does to alerts past redflag, where their histories are silent or not there.

use redflag::domain::{Alert, Command, Disagreement, NewAlert};
use redflag::operator::audit::{Broken, Unverified};

use super::on_every_store;
use super::world::{World, alert_change, text};
use crate::support::DatabaseKind;

on_every_store!(
    untold_repeats_are_bounded,
    a_count_that_was_changed_is_not_hidden_by_counting_on,
    a_forged_alert_is_found_and_not_adopted,
    an_alert_made_to_look_old_is_found,
    nothing_is_added_to_what_is_adopted,
    an_alert_adopted_after_other_events_is_told,
    a_missing_head_is_named,
);

async fn broken(world: &World) -> Broken {
    match world.verify().await {
        Err(Unverified::Broken(broken)) => broken,
        other => panic!("{other:?}"),
    }
}

/// Flags one alert so often.
async fn repeated(world: &World, times: usize) -> Alert {
    let mut last = None;
    for _ in 0..times {
        let alert = NewAlert { dedup_key: Some(text("limit")), ..world.alert() };
        let change = alert_change(world.organization, Command::Flag(Box::new(alert)), &world.later());
        last = Some(world.store.change_alert(&change).await.unwrap().value.alert);
    }
    last.unwrap()
}

async fn untold_repeats_are_bounded(world: &World) {
    // Told of at 20, the next would be 30.
    let alert = repeated(world, 25).await;
    world.assert_sound().await;
    for (field, change) in [
        ("occurrence_count", "occurrence_count = 19, version = version - 6"),
        ("occurrence_count", "occurrence_count = 30, version = version + 5"),
        ("version", "occurrence_count = 26"),
        ("last_occurred_at", "last_occurred_at = created_at"),
        ("updated_at", "updated_at = created_at"),
    ] {
        world.database.execute("CREATE TABLE kept AS SELECT * FROM alerts").await;
        world.database.execute(&format!("UPDATE alerts SET {change}")).await;
        let expected = Broken::Alert(alert.id, Disagreement::Row(field.to_owned()));
        assert_eq!(broken(world).await, expected, "{change}");
        world
            .database
            .execute("DELETE FROM alerts; INSERT INTO alerts SELECT * FROM kept; DROP TABLE kept")
            .await;
        world.assert_sound().await;
    }
}

async fn a_count_that_was_changed_is_not_hidden_by_counting_on(world: &World) {
    for (change, until_told) in [
        ("occurrence_count = 80, version = version + 57", 10),
        ("occurrence_count = 5, version = version - 18", 1),
    ] {
        let alert = repeated(world, 23).await;
        world.database.execute(&format!("UPDATE alerts SET {change}")).await;
        assert!(matches!(broken(world).await, Broken::Alert(id, _) if id == alert.id));
        let told = repeated(world, until_told).await;
        assert!(told.sequence > alert.sequence, "no event told of it");
        let found = broken(world).await;
        let is_named =
            matches!(&found, Broken::Alert(_, Disagreement::Before(_, field)) if field == "occurrence_count");
        assert!(is_named, "{found:?}");
        forget(world).await;
    }
}

/// Begins anew.
async fn forget(world: &World) {
    let (triggers, zeros) = match world.database.kind() {
        DatabaseKind::Sqlite => ("DROP TRIGGER IF EXISTS alert_events_not_deleted", "zeroblob(32)"),
        DatabaseKind::Postgres => (
            "DROP TRIGGER IF EXISTS alert_events_immutable ON alert_events",
            "decode(repeat('00', 32), 'hex')",
        ),
    };
    let anew = format!(
        "{triggers}; DELETE FROM alert_events; DELETE FROM alerts; DELETE FROM alert_entities; \
         UPDATE event_heads SET position = 0, hash = {zeros}"
    );
    world.database.execute(&anew).await;
}

async fn a_forged_alert_is_found_and_not_adopted(world: &World) {
    let alert = world.flag(world.alert()).await;
    let forged = match world.database.kind() {
        DatabaseKind::Sqlite => "x'01a30000000070008000000000000001'",
        DatabaseKind::Postgres => "'01a30000-0000-7000-8000-000000000001'::uuid",
    };
    let copy = format!(
        "CREATE TABLE copy AS SELECT * FROM alerts; UPDATE copy SET anomaly_id = {forged}, sequence = 0; \
         INSERT INTO alerts SELECT * FROM copy"
    );
    world.database.execute(&copy).await;
    assert_eq!(world.operator().adopt_alerts().await.unwrap(), 0);
    assert!(matches!(broken(world).await, Broken::Alert(id, _) if id != alert.id));
}

async fn an_alert_made_to_look_old_is_found(world: &World) {
    let alert = world.flag(world.alert()).await;
    world.database.execute("UPDATE alerts SET sequence = 0").await;
    assert_eq!(world.operator().adopt_alerts().await.unwrap(), 0);
    assert!(matches!(broken(world).await, Broken::Alert(id, _) if id == alert.id));
}

async fn nothing_is_added_to_what_is_adopted(world: &World) {
    world.flag(world.alert()).await;
    let add = "INSERT INTO alerts_to_adopt SELECT organization_id, anomaly_id FROM alerts";
    let refused = world.database.try_execute(add).await.unwrap_err().to_string();
    assert!(refused.contains("nothing is added after the migration"), "{refused}");
    world.assert_sound().await;
}

async fn an_alert_adopted_after_other_events_is_told(world: &World) {
    world.flag(world.alert()).await;
    assert_eq!(world.verify().await.unwrap().late_adoption, None);
    let (forged, trigger) = match world.database.kind() {
        DatabaseKind::Sqlite => ("x'01a30000000070008000000000000001'", "alerts_to_adopt_not_inserted"),
        DatabaseKind::Postgres => {
            ("'01a30000-0000-7000-8000-000000000001'::uuid", "alerts_to_adopt_complete ON alerts_to_adopt")
        }
    };
    let forge = format!(
        "DROP TRIGGER {trigger}; CREATE TABLE copy AS SELECT * FROM alerts; \
         UPDATE copy SET anomaly_id = {forged}, sequence = 0; INSERT INTO alerts SELECT * FROM copy; \
         INSERT INTO alerts_to_adopt SELECT organization_id, anomaly_id FROM copy"
    );
    world.database.execute(&forge).await;
    assert_eq!(world.operator().adopt_alerts().await.unwrap(), 1);
    assert_eq!(world.verify().await.unwrap().late_adoption, Some(2));
}

async fn a_missing_head_is_named(world: &World) {
    world.flag(world.alert()).await;
    let short = match world.database.kind() {
        DatabaseKind::Sqlite => "x'00'",
        DatabaseKind::Postgres => "'\\x00'",
    };
    world.database.execute(&format!("UPDATE event_heads SET hash = {short}")).await;
    assert_eq!(broken(world).await, Broken::HeadMissing);
    world.database.execute("DELETE FROM event_heads").await;
    assert_eq!(broken(world).await, Broken::HeadMissing);
}
