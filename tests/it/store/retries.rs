//! Changes that are sent again: each intended change happens once, and every sending gets the first answer.

use std::sync::Arc;

use chrono::TimeDelta;
use redflag::domain::{
    AlertChange, AlertPatch, AnomalyId, ChangeContext, ChangedAlert, Command, Idempotency, IdempotencyKey,
    Idempotent, NewAlert, StatusPatch,
};
use redflag::store::{IDEMPOTENCY_TTL, StoreError};
use tokio::{sync::Barrier, task::JoinSet};

use super::history::{feed, kinds};
use super::on_every_store;
use super::world::{Changes, World, alert_change, key, new_status, text};

on_every_store!(
    a_repeat_gets_the_first_answer_and_changes_nothing,
    another_change_under_the_same_key_is_refused,
    a_failed_change_is_not_remembered,
    each_organization_has_keys_of_its_own,
    many_at_once_on_several_instances_have_one_effect,
    keys_are_forgotten_after_a_day,
    a_change_that_changed_nothing_is_remembered_in_few_bytes,
    changes_of_statuses_happen_once,
    a_stale_version_is_refused_with_the_present_one,
);

/// The circumstances of the intended change `name` that asks for `asked`.
fn intended(world: &World, name: &str, asked: u8) -> ChangeContext {
    let key = IdempotencyKey::parse(name).unwrap();
    ChangeContext { idempotency: Some(Idempotency { key, fingerprint: [asked; 32] }), ..world.later() }
}

fn flag(world: &World, name: &str, asked: u8) -> AlertChange {
    let command = Command::Flag(Box::new(world.alert()));
    alert_change(world.organization, command, &intended(world, name, asked))
}

fn update(world: &World, id: AnomalyId, patch: AlertPatch, name: &str) -> AlertChange {
    alert_change(world.organization, Command::Update(id, Box::new(patch)), &intended(world, name, 1))
}

async fn a_repeat_gets_the_first_answer_and_changes_nothing(world: &World) {
    let first = world.store.change_alert(&flag(world, "one", 1)).await.unwrap();
    assert!(!first.is_replayed);
    let patch = AlertPatch { title: Some(text("ChangedAlert since")), ..AlertPatch::default() };
    world.update(first.value.alert.id, &patch).await.unwrap();
    let again = world.store.change_alert(&flag(world, "one", 1)).await.unwrap();
    assert_eq!(again, Idempotent { is_replayed: true, ..first });
    assert_eq!(feed(world, world.organization).await.len(), 2);
    assert_eq!(feed(world, world.organization).await[0].idempotency_key.as_ref().unwrap().as_str(), "one");
    world.assert_sound().await;
}

async fn another_change_under_the_same_key_is_refused(world: &World) {
    world.store.change_alert(&flag(world, "one", 1)).await.unwrap();
    let refused = world.store.change_alert(&flag(world, "one", 2)).await;
    assert!(matches!(refused, Err(StoreError::KeyReused)), "{refused:?}");
    assert_eq!(kinds(world).await.len(), 1);
}

async fn a_failed_change_is_not_remembered(world: &World) {
    let context = intended(world, "one", 1);
    let odd = NewAlert { status: key("LATER"), ..world.alert() };
    world.store.flag(odd.clone(), &context).await.unwrap_err();
    world.add_status("LATER").await;
    world.store.flag(odd, &context).await.unwrap();
    assert_eq!(kinds(world).await.len(), 1);
}

async fn each_organization_has_keys_of_its_own(world: &World) {
    let other = world.add_organization("other").await;
    world.store.change_alert(&flag(world, "one", 1)).await.unwrap();
    let theirs = NewAlert { organization_id: other, ..world.alert() };
    let theirs = alert_change(other, Command::Flag(Box::new(theirs)), &intended(world, "one", 2));
    assert!(!world.store.change_alert(&theirs).await.unwrap().is_replayed);
}

async fn many_at_once_on_several_instances_have_one_effect(world: &World) {
    let instances = [Arc::clone(&world.store), world.database.open().await, world.database.open().await];
    let target = world.flag(world.alert()).await;
    for round in 0..8 {
        let start = Arc::new(Barrier::new(12));
        let mut tasks = JoinSet::new();
        for count in 0..12 {
            let (store, start) = (Arc::clone(&instances[count % 3]), Arc::clone(&start));
            let name = format!("round {}", round / 2).replace(' ', "-") + ["flag", "none"][round % 2];
            let change = if round % 2 == 0 {
                flag(world, &name, 1)
            } else {
                update(world, target.id, AlertPatch::default(), &name)
            };
            tasks.spawn(async move {
                start.wait().await;
                store.change_alert(&change).await.unwrap()
            });
        }
        let answers: Vec<Idempotent<ChangedAlert>> = tasks.join_all().await;
        assert_eq!(answers.iter().filter(|answer| !answer.is_replayed).count(), 1);
        assert!(answers.iter().all(|answer| answer.value == answers[0].value));
    }
    assert_eq!(kinds(world).await.len(), 1 + 4);
    world.assert_sound().await;
}

async fn keys_are_forgotten_after_a_day(world: &World) {
    let first = world.store.change_alert(&flag(world, "one", 1)).await.unwrap().value.alert;
    world.pass(IDEMPOTENCY_TTL - TimeDelta::minutes(1)).await;
    assert!(world.store.change_alert(&flag(world, "two", 1)).await.is_ok());
    assert!(world.store.change_alert(&flag(world, "one", 1)).await.unwrap().is_replayed);
    // Free again, also before anybody has cleaned up, and with other content.
    world.pass(TimeDelta::minutes(2)).await;
    let second = world.store.change_alert(&flag(world, "one", 2)).await.unwrap();
    assert!(!second.is_replayed && second.value.alert.id != first.id);
    assert!(world.store.change_alert(&flag(world, "one", 2)).await.unwrap().is_replayed);
    assert_eq!(world.store.expire_idempotency_keys(world.clock.step(TimeDelta::zero())).await.unwrap(), 0);
    world.pass(IDEMPOTENCY_TTL + TimeDelta::hours(1)).await;
    assert_eq!(world.store.expire_idempotency_keys(world.clock.step(TimeDelta::zero())).await.unwrap(), 2);
    world.assert_sound().await;
}

async fn a_change_that_changed_nothing_is_remembered_in_few_bytes(world: &World) {
    let alert = world.flag(NewAlert { description: text(&"d".repeat(10_000)), ..world.alert() }).await;
    let nothing = || update(world, alert.id, AlertPatch::default(), "nothing");
    assert!(!world.store.change_alert(&nothing()).await.unwrap().is_replayed);
    let title = AlertPatch { title: Some(text("Another")), ..AlertPatch::default() };
    world.store.change_alert(&update(world, alert.id, title, "something")).await.unwrap();
    let again = world.store.change_alert(&nothing()).await.unwrap();
    assert!(again.is_replayed);
    assert_eq!(Some(again.value.alert), world.read(alert.id).await, "the alert as it stands");
    // Of what changed something, the first answer is kept.
    let sizes = "SELECT count(*) FROM idempotency_keys WHERE length(answer) < 100";
    assert_eq!(world.database.count(sizes).await, 1);
}

async fn changes_of_statuses_happen_once(world: &World) {
    let organization = world.organization;
    let create = async |asked| {
        let context = intended(world, "create", asked);
        world.store.create_status(organization, new_status("PENDING"), &context).await
    };
    let made = create(1).await.unwrap();
    assert_eq!(create(1).await.unwrap(), Idempotent { is_replayed: true, ..made });
    assert!(matches!(create(2).await, Err(StoreError::KeyReused)));
    let rename = StatusPatch { name: Some(text("Later")), colour: None };
    let update = async || {
        let context = intended(world, "update", 1);
        world.store.update_status(organization, &key("PENDING"), &rename, &context).await.unwrap()
    };
    let renamed = update().await;
    let back = StatusPatch { name: Some(text("Before")), colour: None };
    world.store.update_status(organization, &key("PENDING"), &back, &world.later()).await.unwrap();
    assert_eq!(update().await, Idempotent { is_replayed: true, ..renamed });
    let delete = async || {
        let context = intended(world, "delete", 1);
        world.store.delete_status(organization, &key("PENDING"), &context).await.unwrap().is_replayed
    };
    assert_eq!([delete().await, delete().await], [false, true]);
    deleted_in_use(world).await;
}

/// A deletion that fails because the status is in use is told so, and may succeed later under the same key.
async fn deleted_in_use(world: &World) {
    world.add_status("USED").await;
    let alert = world.flag_in("USED").await;
    let delete = async || {
        let context = intended(world, "in-use", 1);
        world.store.delete_status(world.organization, &key("USED"), &context).await
    };
    assert!(matches!(delete().await, Err(StoreError::InUse(1))));
    let away = AlertPatch { status: Some(key("FLAGGED")), ..AlertPatch::default() };
    world.update(alert.id, &away).await.unwrap();
    assert!(!delete().await.unwrap().is_replayed);
}

async fn a_stale_version_is_refused_with_the_present_one(world: &World) {
    use redflag::domain::Refusal;
    let alert = world.flag(world.alert()).await;
    let attempt = async |versions: &[i64], title: &str| {
        let patch = AlertPatch { title: Some(text(title)), ..AlertPatch::default() };
        let command = Command::Update(alert.id, Box::new(patch));
        let change = alert_change(world.organization, command, &world.later());
        let change = AlertChange { expected_versions: Some(versions.to_vec()), ..change };
        world.store.change_alert(&change).await
    };
    assert_eq!(attempt(&[1], "One").await.unwrap().value.alert.version, 2);
    for versions in [[1].as_slice(), &[], &[3, 4]] {
        let refused = attempt(versions, "Two").await;
        let is_conflict = matches!(refused, Err(StoreError::Refused(Refusal::VersionConflict(2))));
        assert!(is_conflict, "{refused:?}");
    }
    assert_eq!(attempt(&[7, 2], "Three").await.unwrap().value.alert.version, 3);
    assert_eq!(kinds(world).await.len(), 3);
}
