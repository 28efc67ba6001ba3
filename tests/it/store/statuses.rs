//! The statuses of an organization.

use redflag::domain::{
    AlertPatch, AlertStatus, Colour, NewStatus, PageSize, StatusClass, StatusKey, StatusOrigin, StatusPatch,
};
use redflag::store::StoreError;

use super::on_every_store;
use super::world::{Changes, World, key, new_status, text};

on_every_store!(
    an_organization_starts_with_the_built_in_statuses,
    a_status_is_read_as_it_was_made,
    a_key_is_taken_once_also_by_a_built_in_status,
    statuses_come_in_the_byte_order_of_their_keys_page_by_page,
    missing_statuses_are_told_in_the_order_asked,
    a_name_and_a_colour_are_changed,
    a_change_of_nothing_leaves_the_time,
    an_unknown_status_is_not_found,
    a_status_that_no_alert_uses_is_deleted,
    a_status_in_use_tells_how_many_alerts_use_it,
    a_key_can_be_used_again_after_deletion,
);

async fn all(world: &World, origin: StatusOrigin) -> Vec<AlertStatus> {
    let page = world.store.statuses(world.organization, origin, None, PageSize::MAX).await.unwrap();
    assert!(!page.has_more);
    page.items
}

fn keys(statuses: &[AlertStatus]) -> Vec<&str> {
    statuses.iter().map(|status| status.key.as_str()).collect()
}

async fn an_organization_starts_with_the_built_in_statuses(world: &World) {
    let expected = AlertStatus::builtin(world.organization, world.change().at);
    assert_eq!(all(world, StatusOrigin::Builtin).await, expected);
    assert!(all(world, StatusOrigin::Custom).await.is_empty());
}

async fn a_status_is_read_as_it_was_made(world: &World) {
    for (count, class) in StatusClass::ALL.into_iter().enumerate() {
        let new = NewStatus {
            key: key(&format!("S_{count}")),
            name: text("Ждёт 😀 \"check\" \\ %_"),
            colour: Colour::parse(Colour::ALLOWED[count]).unwrap(),
            class,
        };
        let change = world.later();
        let made = world.store.create_status(world.organization, new.clone(), &change).await.unwrap().value;
        assert_eq!(made, new.into_status(world.organization, &change));
        assert_eq!(all(world, StatusOrigin::Custom).await[count], made);
    }
}

async fn a_key_is_taken_once_also_by_a_built_in_status(world: &World) {
    world.add_status("PENDING").await;
    let before = all(world, StatusOrigin::Custom).await;
    for taken in ["PENDING", "FLAGGED", "INVESTIGATING", "RESOLVED"] {
        let again = NewStatus { name: text("Another"), ..new_status(taken) };
        let refused = world.store.create_status(world.organization, again, &world.later()).await;
        assert!(matches!(refused, Err(StoreError::Duplicate)), "{taken}");
    }
    assert_eq!(all(world, StatusOrigin::Custom).await, before);
    assert_eq!(all(world, StatusOrigin::Builtin).await.len(), 3);
}

async fn statuses_come_in_the_byte_order_of_their_keys_page_by_page(world: &World) {
    // In most languages' order the underscore comes before letters, and digits are not compared one by one.
    let ordered = ["10", "2", "A", "A1", "AB", "A_B", "FLAGGED2", "Z", "_A"];
    for name in ["_A", "2", "A_B", "Z", "10", "A", "FLAGGED2", "AB", "A1"] {
        world.add_status(name).await;
    }
    assert_eq!(keys(&all(world, StatusOrigin::Custom).await), ordered);
    for size in 1..=10 {
        let size = PageSize::parse(Some(size), PageSize::DEFAULT).unwrap();
        let (mut seen, mut after): (Vec<_>, Option<StatusKey>) = (Vec::new(), None);
        loop {
            let page = world.store.statuses(world.organization, StatusOrigin::Custom, after.as_ref(), size);
            let page = page.await.unwrap();
            assert!(page.items.len() == size.get() || !page.has_more);
            seen.extend(page.items);
            after = seen.last().map(|status| status.key.clone());
            if !page.has_more {
                break;
            }
        }
        assert_eq!(keys(&seen), ordered);
    }
}

async fn missing_statuses_are_told_in_the_order_asked(world: &World) {
    world.add_status("PENDING").await;
    let missing = async |asked: &[&str]| {
        let asked: Vec<_> = asked.iter().map(|name| key(name)).collect();
        let missing = world.store.missing_statuses(world.organization, &asked).await.unwrap();
        missing.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert!(missing(&[]).await.is_empty());
    assert!(missing(&["PENDING", "FLAGGED"]).await.is_empty());
    assert_eq!(missing(&["Z", "PENDING", "A", "RESOLVED", "M"]).await, ["Z", "A", "M"]);
}

async fn patch(world: &World, name: &str, patch: &StatusPatch) -> Result<AlertStatus, StoreError> {
    let updated = world.store.update_status(world.organization, &key(name), patch, &world.later()).await;
    updated.map(|answer| answer.value)
}

async fn a_name_and_a_colour_are_changed(world: &World) {
    world.add_status("PENDING").await;
    let mut expected = all(world, StatusOrigin::Custom).await.remove(0);
    let green = Colour::parse("#10b981").unwrap();
    for (name, colour) in
        [(Some("One"), None), (None, Some(green)), (Some("Two"), Some(Colour::parse("#64748B").unwrap()))]
    {
        let change = StatusPatch { name: name.map(text), colour };
        let updated = patch(world, "PENDING", &change).await.unwrap();
        expected.name = change.name.unwrap_or(expected.name);
        expected.colour = change.colour.unwrap_or(expected.colour);
        expected.updated_at = world.change().at;
        assert_eq!(updated, expected);
        assert_eq!(all(world, StatusOrigin::Custom).await, [updated]);
    }
}

async fn a_change_of_nothing_leaves_the_time(world: &World) {
    world.add_status("PENDING").await;
    let before = all(world, StatusOrigin::Custom).await.remove(0);
    let same = StatusPatch { name: Some(before.name.clone()), colour: Some(before.colour) };
    for change in [StatusPatch::default(), same] {
        assert_eq!(patch(world, "PENDING", &change).await.unwrap(), before);
        assert_eq!(all(world, StatusOrigin::Custom).await, std::slice::from_ref(&before));
    }
}

async fn an_unknown_status_is_not_found(world: &World) {
    let change = StatusPatch { name: Some(text("One")), colour: None };
    assert!(matches!(patch(world, "NO_SUCH", &change).await, Err(StoreError::NotFound)));
    let deleted = world.store.delete_status(world.organization, &key("NO_SUCH"), &world.change()).await;
    assert!(matches!(deleted, Err(StoreError::NotFound)));
}

async fn delete(world: &World, name: &str) -> Result<(), StoreError> {
    let deleted = world.store.delete_status(world.organization, &key(name), &world.change()).await;
    deleted.map(|answer| answer.value)
}

async fn a_status_that_no_alert_uses_is_deleted(world: &World) {
    world.add_status("PENDING").await;
    world.add_status("WAITING").await;
    world.flag_in("WAITING").await;
    delete(world, "PENDING").await.unwrap();
    assert_eq!(keys(&all(world, StatusOrigin::Custom).await), ["WAITING"]);
    assert!(matches!(delete(world, "PENDING").await, Err(StoreError::NotFound)));
    let late = redflag::domain::NewAlert { status: key("PENDING"), ..world.alert() };
    assert!(matches!(world.store.flag(late, &world.change()).await, Err(StoreError::UnknownStatus(_))));
}

async fn a_status_in_use_tells_how_many_alerts_use_it(world: &World) {
    world.add_status("PENDING").await;
    let move_to = |status| AlertPatch { status: Some(key(status)), ..AlertPatch::default() };
    let mut alerts = Vec::new();
    for count in 1..=3 {
        alerts.push(world.flag_in("PENDING").await.id);
        assert!(matches!(delete(world, "PENDING").await, Err(StoreError::InUse(uses)) if uses == count));
    }
    for (moved, id) in alerts.into_iter().enumerate() {
        let left = 3 - i64::try_from(moved).unwrap();
        assert!(matches!(delete(world, "PENDING").await, Err(StoreError::InUse(uses)) if uses == left));
        world.update(id, &move_to("RESOLVED")).await.unwrap();
    }
    delete(world, "PENDING").await.unwrap();
}

async fn a_key_can_be_used_again_after_deletion(world: &World) {
    world.add_status("PENDING").await;
    delete(world, "PENDING").await.unwrap();
    let closed = NewStatus { class: StatusClass::Closed, ..new_status("PENDING") };
    world.store.create_status(world.organization, closed, &world.change()).await.unwrap();
    assert_eq!(world.flag_in("PENDING").await.status_class, StatusClass::Closed);
}
