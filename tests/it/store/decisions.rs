//! Closing, deciding and reopening.

use redflag::domain::{Alert, AlertFilter, AlertPatch, Disposition, NewAlert, Refusal};
use redflag::store::StoreError;

use super::on_every_store;
use super::world::{Changes, World, key, text};

on_every_store!(
    closing_notes_who_and_when_and_reopening_forgets,
    moving_among_closed_statuses_keeps_who_closed_it,
    a_reason_stands_only_beside_a_disposition,
    an_organization_may_demand_a_disposition_with_a_reason,
    alerts_are_found_by_their_disposition,
);

fn status(name: &str) -> AlertPatch {
    AlertPatch { status: Some(key(name)), ..AlertPatch::default() }
}

fn decision(disposition: Disposition, reason: &str) -> AlertPatch {
    AlertPatch {
        disposition: Some(disposition),
        disposition_reason: Some(text(reason)),
        ..AlertPatch::default()
    }
}

async fn closing_notes_who_and_when_and_reopening_forgets(world: &World) {
    let alert = world.flag(world.alert()).await;
    let close = AlertPatch { status: Some(key("RESOLVED")), ..decision(Disposition::Benign, "Salary.") };
    let closed = world.update(alert.id, &close).await.unwrap();
    assert_eq!((closed.closed_at, closed.closed_by), (Some(world.change().at), Some(world.change().actor)));
    assert_eq!(closed.disposition, Disposition::Benign);
    let reopened = world.update(alert.id, &status("FLAGGED")).await.unwrap();
    assert_eq!((reopened.closed_at, &reopened.closed_by), (None, &None));
    assert_eq!((reopened.disposition, reopened.disposition_reason.as_str()), (Disposition::Unspecified, ""));
    assert_eq!(world.read(alert.id).await, Some(reopened));
    // What is decided in the same call stays.
    world.update(alert.id, &close).await.unwrap();
    let anew =
        AlertPatch { status: Some(key("FLAGGED")), ..decision(Disposition::Inconclusive, "Ask again.") };
    let reopened = world.update(alert.id, &anew).await.unwrap();
    assert_eq!(reopened.disposition, Disposition::Inconclusive);
    let born_closed = world.flag_in("RESOLVED").await;
    assert_eq!(born_closed.closed_at, Some(born_closed.created_at));
}

async fn moving_among_closed_statuses_keeps_who_closed_it(world: &World) {
    let done = redflag::domain::NewStatus {
        class: redflag::domain::StatusClass::Closed,
        ..super::world::new_status("DONE")
    };
    world.store.create_status(world.organization, done, &world.change()).await.unwrap();
    let alert = world.flag_in("RESOLVED").await;
    let moved = world.update(alert.id, &status("DONE")).await.unwrap();
    assert_eq!((moved.closed_at, moved.closed_by), (alert.closed_at, alert.closed_by));
}

async fn a_reason_stands_only_beside_a_disposition(world: &World) {
    let alert = world.flag(world.alert()).await;
    let alone = AlertPatch { disposition_reason: Some(text("Why?")), ..AlertPatch::default() };
    let refused = world.update(alert.id, &alone).await;
    assert!(
        matches!(refused, Err(StoreError::Refused(Refusal::Field("disposition_reason", _)))),
        "{refused:?}"
    );
    world.update(alert.id, &decision(Disposition::Duplicate, "See the other.")).await.unwrap();
    let other = world.update(alert.id, &alone).await.unwrap();
    assert_eq!(other.disposition_reason.as_str(), "Why?");
    let back = AlertPatch { disposition: Some(Disposition::Unspecified), ..AlertPatch::default() };
    let cleared = world.update(alert.id, &back).await.unwrap();
    assert_eq!((cleared.disposition, cleared.disposition_reason.as_str()), (Disposition::Unspecified, ""));
}

fn assert_required(answer: &Result<Alert, StoreError>) {
    assert!(matches!(answer, Err(StoreError::Refused(Refusal::DispositionRequired))), "{answer:?}");
}

async fn an_organization_may_demand_a_disposition_with_a_reason(world: &World) {
    let other = world.add_organization("other").await;
    let organization = world.store.require_disposition(world.organization, true).await.unwrap();
    assert!(organization.requires_disposition);
    let alert = world.flag(world.alert()).await;
    assert_required(&world.update(alert.id, &status("RESOLVED")).await);
    let without_reason = AlertPatch { status: Some(key("RESOLVED")), ..decision(Disposition::Benign, "") };
    assert_required(&world.update(alert.id, &without_reason).await);
    let blank = AlertPatch { status: Some(key("RESOLVED")), ..decision(Disposition::Benign, " \n") };
    assert_required(&world.update(alert.id, &blank).await);
    let starts_closed = NewAlert { status: key("RESOLVED"), ..world.alert() };
    assert_required(&world.store.flag(starts_closed.clone(), &world.change()).await);
    // Decided before or at once.
    world.update(alert.id, &decision(Disposition::Benign, "Salary.")).await.unwrap();
    world.update(alert.id, &status("RESOLVED")).await.unwrap();
    // While it is closed the decision can be changed, and not taken back.
    world.update(alert.id, &decision(Disposition::TruePositive, "Fraud.")).await.unwrap();
    let back = AlertPatch { disposition: Some(Disposition::Unspecified), ..AlertPatch::default() };
    assert_required(&world.update(alert.id, &back).await);
    world.update(alert.id, &status("FLAGGED")).await.unwrap();
    // Others demand nothing, and neither does this one any more.
    let theirs = NewAlert { organization_id: other, ..starts_closed };
    world.store.flag(theirs, &world.change()).await.unwrap();
    world.store.require_disposition(world.organization, false).await.unwrap();
    world.update(alert.id, &status("RESOLVED")).await.unwrap();
    let nobody = world.organization("nobody").id;
    let missing = world.store.require_disposition(nobody, true).await;
    assert!(matches!(missing, Err(StoreError::NotFound)), "{missing:?}");
}

async fn alerts_are_found_by_their_disposition(world: &World) {
    let mut decided = Vec::new();
    for disposition in Disposition::GIVEN {
        let alert = world.flag(world.alert()).await;
        world.update(alert.id, &decision(disposition, "")).await.unwrap();
        decided.push((disposition, alert.id));
    }
    world.flag(world.alert()).await;
    for (disposition, id) in &decided {
        let filter = AlertFilter { dispositions: vec![*disposition], ..AlertFilter::default() };
        assert_eq!(world.find(filter).await, [*id]);
    }
    let all = AlertFilter { dispositions: Disposition::GIVEN.to_vec(), ..AlertFilter::default() };
    assert_eq!(world.find(all).await.len(), decided.len());
}
