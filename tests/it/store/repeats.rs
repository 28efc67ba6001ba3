//! Repeats that fold into one alert.

use std::sync::Arc;

use redflag::domain::{
    Alert, AlertPatch, ChangedAlert, Command, EventType, NewAlert, Refusal, Severity,
    replay::ENTITIES_LEFT_OUT,
};
use redflag::store::StoreError;
use tokio::{sync::Barrier, task::JoinSet};

use super::history::{feed, kinds};
use super::on_every_store;
use super::world::{Changes, World, alert_change, entities, key, text};

on_every_store!(
    a_repeat_folds_and_raises_what_it_may,
    other_keys_and_other_organizations_do_not_fold,
    after_closing_a_new_alert_names_the_one_before,
    an_alert_is_not_reopened_beside_its_successor,
    history_tells_of_ever_rarer_repeats,
    a_repeat_with_more_to_say_is_always_told,
    entities_beyond_a_hundred_are_left_out_and_counted,
    flags_at_the_same_moment_make_one_alert,
    repeats_that_history_does_not_tell_are_counted_by_every_instance,
    repeats_by_a_clock_that_is_behind_are_told_in_order,
    a_repeat_in_an_unknown_status_is_refused,
);

fn keyed(world: &World, dedup_key: &str) -> NewAlert {
    NewAlert { dedup_key: Some(text(dedup_key)), ..world.alert() }
}

async fn repeat(world: &World, alert: NewAlert) -> ChangedAlert {
    let change = alert_change(alert.organization_id, Command::Flag(Box::new(alert)), &world.later());
    world.store.change_alert(&change).await.unwrap().value
}

async fn close(world: &World, alert: &Alert) {
    let patch = AlertPatch { status: Some(key("RESOLVED")), ..AlertPatch::default() };
    world.update(alert.id, &patch).await.unwrap();
}

async fn a_repeat_folds_and_raises_what_it_may(world: &World) {
    let first = NewAlert { severity: Severity::High, ..keyed(world, "limit") };
    let first = repeat(world, first).await;
    assert!(!first.is_deduplicated && first.alert.occurrence_count == 1);
    let more = NewAlert {
        entities: entities(&["txn_1", "txn_2", "bln_1"]),
        severity: Severity::Low,
        title: text("Another"),
        ..keyed(world, "limit")
    };
    let second = repeat(world, more).await;
    let at = world.change().at;
    let expected = Alert {
        entities: entities(&["txn_1", "txn_2", "bln_1"]),
        occurrence_count: 2,
        last_occurred_at: at,
        updated_at: at,
        version: 2,
        sequence: 2,
        ..first.alert
    };
    assert_eq!(second, ChangedAlert { alert: expected.clone(), is_deduplicated: true });
    assert_eq!(world.read(expected.id).await, Some(expected));
    let higher = NewAlert { severity: Severity::Critical, ..keyed(world, "limit") };
    assert_eq!(repeat(world, higher).await.alert.severity, Severity::Critical);
    assert_eq!(kinds(world).await, [EventType::Flagged, EventType::Recurred, EventType::Recurred]);
}

async fn other_keys_and_other_organizations_do_not_fold(world: &World) {
    let other = world.add_organization("other").await;
    for alert in [
        keyed(world, "limit"),
        keyed(world, "Limit"),
        NewAlert { organization_id: other, ..keyed(world, "limit") },
        world.alert(),
        world.alert(),
    ] {
        assert!(!repeat(world, alert).await.is_deduplicated);
    }
}

async fn after_closing_a_new_alert_names_the_one_before(world: &World) {
    let first = repeat(world, keyed(world, "limit")).await.alert;
    close(world, &first).await;
    let second = repeat(world, keyed(world, "limit")).await;
    assert_eq!((second.is_deduplicated, second.alert.previous_anomaly_id), (false, Some(first.id)));
    close(world, &second.alert).await;
    let third = repeat(world, keyed(world, "limit")).await.alert;
    assert_eq!(third.previous_anomaly_id, Some(second.alert.id));
    assert_eq!(world.read(third.id).await, Some(third));
}

async fn an_alert_is_not_reopened_beside_its_successor(world: &World) {
    let first = repeat(world, keyed(world, "limit")).await.alert;
    close(world, &first).await;
    let second = repeat(world, keyed(world, "limit")).await.alert;
    let reopen = AlertPatch { status: Some(key("FLAGGED")), ..AlertPatch::default() };
    let refused = world.update(first.id, &reopen).await;
    assert!(
        matches!(refused, Err(StoreError::Refused(Refusal::Rival(id))) if id == second.id),
        "{refused:?}"
    );
    close(world, &second).await;
    world.update(first.id, &reopen).await.unwrap();
    let refused = world.update(second.id, &reopen).await;
    assert!(matches!(refused, Err(StoreError::Refused(Refusal::Rival(id))) if id == first.id), "{refused:?}");
}

async fn history_tells_of_ever_rarer_repeats(world: &World) {
    for _ in 0..120 {
        repeat(world, keyed(world, "limit")).await;
    }
    let events = feed(world, world.organization).await;
    let counts = events.iter().filter_map(|event| {
        let count = event.changes.iter().find(|change| change.field == "occurrence_count")?;
        count.after.as_i64()
    });
    assert_eq!(
        counts.collect::<Vec<_>>(),
        [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100]
    );
    world.assert_sound().await;
}

async fn a_repeat_with_more_to_say_is_always_told(world: &World) {
    for _ in 0..10 {
        repeat(world, keyed(world, "limit")).await;
    }
    let severe = NewAlert { severity: Severity::High, ..keyed(world, "limit") };
    repeat(world, severe).await;
    let elsewhere = NewAlert { entities: entities(&["idt_1"]), ..keyed(world, "limit") };
    repeat(world, elsewhere).await;
    let context = redflag::domain::ChangeContext { note: text("Again!"), ..world.later() };
    world.store.flag(keyed(world, "limit"), &context).await.unwrap();
    repeat(world, keyed(world, "limit")).await;
    let events = feed(world, world.organization).await;
    assert_eq!(events.len(), 13);
    assert_eq!(events[12].note.as_str(), "Again!");
    world.assert_sound().await;
}

async fn entities_beyond_a_hundred_are_left_out_and_counted(world: &World) {
    let names: Vec<_> = (0..99).map(|number| format!("txn_{number}")).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    repeat(world, NewAlert { entities: entities(&names), ..keyed(world, "limit") }).await;
    let more =
        NewAlert { entities: entities(&["bln_1", "bln_2", "bln_3", "txn_1"]), ..keyed(world, "limit") };
    let folded = repeat(world, more).await.alert;
    assert_eq!((folded.entities.iter().count(), folded.entities.balances.len()), (100, 1));
    let events = feed(world, world.organization).await;
    let left_out = events[1].changes.iter().find(|change| change.field == ENTITIES_LEFT_OUT).unwrap();
    assert_eq!(left_out.after, 2);
    world.assert_sound().await;
}

async fn flags_at_the_same_moment_make_one_alert(world: &World) {
    let instances = [Arc::clone(&world.store), world.database.open().await, world.database.open().await];
    for round in 0..8 {
        let dedup_key = format!("round {round}");
        let start = Arc::new(Barrier::new(9));
        let mut tasks = JoinSet::new();
        for count in 0..9 {
            let (store, start) = (Arc::clone(&instances[count % 3]), Arc::clone(&start));
            let command = Command::Flag(Box::new(keyed(world, &dedup_key)));
            let change = alert_change(world.organization, command, &world.later());
            tasks.spawn(async move {
                start.wait().await;
                store.change_alert(&change).await.unwrap().value
            });
        }
        let answers = tasks.join_all().await;
        assert_eq!(answers.iter().filter(|answer| !answer.is_deduplicated).count(), 1);
        let mut counts: Vec<_> = answers.iter().map(|answer| answer.alert.occurrence_count).collect();
        counts.sort_unstable();
        assert_eq!(counts, (1..=9).collect::<Vec<_>>());
        assert!(answers.iter().all(|answer| answer.alert.id == answers[0].alert.id));
    }
    world.assert_sound().await;
}

/// Also beside changes of the same alert, which history does tell.
async fn repeats_that_history_does_not_tell_are_counted_by_every_instance(world: &World) {
    const REPEATS: usize = 40;
    let instances = [Arc::clone(&world.store), world.database.open().await, world.database.open().await];
    let first = repeat(world, keyed(world, "limit")).await.alert;
    let mut tasks = JoinSet::new();
    for (number, store) in instances.into_iter().enumerate() {
        let flags: Vec<_> = (0..REPEATS)
            .map(|_| {
                alert_change(
                    world.organization,
                    Command::Flag(Box::new(keyed(world, "limit"))),
                    &world.later(),
                )
            })
            .collect();
        tasks.spawn(async move {
            for (count, flag) in flags.into_iter().enumerate() {
                store.change_alert(&flag).await.unwrap();
                let patch =
                    AlertPatch { title: Some(text(&format!("{number} {count}"))), ..AlertPatch::default() };
                store.update_alert(first.organization_id, first.id, &patch, &flag.context).await.unwrap();
            }
        });
    }
    tasks.join_all().await;
    let last = world.read(first.id).await.unwrap();
    let repeats = i64::try_from(3 * REPEATS).unwrap();
    assert_eq!((last.occurrence_count, last.version), (1 + repeats, 1 + 2 * repeats));
    world.assert_sound().await;
}

async fn repeats_by_a_clock_that_is_behind_are_told_in_order(world: &World) {
    for _ in 0..11 {
        repeat(world, keyed(world, "limit")).await;
    }
    // Behind the eleventh, of which history is silent; ahead of the tenth, or behind that too.
    for (behind, entity) in [(1_500, "bln_2"), (60_000, "bln_3")] {
        world.clock.step(-chrono::TimeDelta::milliseconds(behind));
        let more = NewAlert { entities: entities(&[entity]), ..keyed(world, "limit") };
        let folded = repeat(world, more).await.alert;
        assert_eq!(folded.last_occurred_at, folded.updated_at);
        world.assert_sound().await;
    }
    for _ in 0..20 {
        repeat(world, keyed(world, "limit")).await;
    }
    world.assert_sound().await;
}

async fn a_repeat_in_an_unknown_status_is_refused(world: &World) {
    repeat(world, keyed(world, "limit")).await;
    let odd = NewAlert { status: key("NOWHERE"), ..keyed(world, "limit") };
    let refused = world.store.flag(odd, &world.change()).await;
    assert!(matches!(refused, Err(StoreError::UnknownStatus(_))), "{refused:?}");
}
