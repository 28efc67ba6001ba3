//! Lists against a model: random alerts and random filters, compared with a plain filter and sort in memory.

use chrono::{DateTime, TimeDelta};
use redflag::domain::{
    Alert, AlertFilter, AlertPatch, AlertQuery, AnomalyId, Disposition, EntityId, EntityType, IdSource,
    NewAlert, OrganizationId, PageSize, Severity, SortOrder, StatusClass, TimeRange, Timestamp,
};

use super::on_every_store;
use super::random::Random;
use super::world::{Changes, World, entities, ids, key, new_status, text};

on_every_store!(lists_agree_with_the_model_for_every_filter);

const ALERTS: usize = 300;
const QUERIES: usize = 500;
const STATUSES: [&str; 5] = ["FLAGGED", "INVESTIGATING", "RESOLVED", "PENDING", "WAITING"];
const PEOPLE: [&str; 5] = ["ada", "Ada", "bob", "😀", "a_a%"];
const ENTITIES: [&str; 8] = ["bln_1", "bal_1", "txn_1", "txn_2", "idt_1", "idt_A", "idt_a", "bln_2"];

async fn lists_agree_with_the_model_for_every_filter(world: &World) {
    let other = world.add_organization("other").await;
    let organizations = [world.organization, other];
    for organization in organizations {
        for name in &STATUSES[3..] {
            let status = new_status(name);
            world.store.create_status(organization, status, &world.change()).await.unwrap();
        }
    }
    let mut random = Random::new(2026);
    let mut alerts = Vec::new();
    for _ in 0..ALERTS {
        alerts.push(flag(world, &mut random, organizations).await);
    }
    for _ in 0..ALERTS {
        let index = random.below(ALERTS);
        alerts[index] = change(world, &mut random, &alerts[index]).await;
    }
    let mut found = 0;
    for _ in 0..QUERIES {
        let query = query(&mut random, organizations, &alerts);
        found += assert_agrees(world, query, &alerts).await;
    }
    assert!(found > QUERIES, "the filters find too little to tell anything: {found}");
}

/// One of few instants, so that many are equal, around 1970 so that both signs occur.
fn moment(random: &mut Random) -> Timestamp {
    let step = i64::try_from(random.below(40)).unwrap() - 20;
    DateTime::from_timestamp_micros(step * 1_000_001).unwrap()
}

async fn flag(world: &World, random: &mut Random, organizations: [OrganizationId; 2]) -> Alert {
    world.clock.set(moment(random));
    let alert = NewAlert {
        organization_id: random.pick(&organizations),
        // Not in the order in which alerts are made.
        id: AnomalyId::from_uuid(world.ids.next(moment(random))),
        kind: random.pick(&EntityType::ALL),
        entities: entities(&random.some(&ENTITIES, 1, 4)),
        status: key(random.pick(&STATUSES)),
        severity: severity(random),
        assigned_to: text(random.pick(&["", "", "ada", "Ada", "bob", "😀"])),
        escalated_to: random.some(&PEOPLE, 0, 3).into_iter().map(text).collect(),
        ..world.alert()
    };
    world.flag(alert).await
}

async fn change(world: &World, random: &mut Random, alert: &Alert) -> Alert {
    world.clock.set(moment(random));
    let patch = AlertPatch {
        status: random.maybe().then(|| key(random.pick(&STATUSES))),
        severity: random.maybe().then(|| severity(random)),
        assigned_to: random.maybe().then(|| text(random.pick(&PEOPLE))),
        escalated_to: random.maybe().then(|| random.some(&PEOPLE, 0, 3).into_iter().map(text).collect()),
        affected_balances: random.maybe().then(|| entities(&random.some(&ENTITIES, 1, 8)).balances),
        affected_identities: Some(entities(&["idt_1", "idt_2"]).identities),
        disposition: random.maybe().then(|| random.pick(&Disposition::GIVEN)),
        ..AlertPatch::default()
    };
    let changed = world.store.update_alert(alert.organization_id, alert.id, &patch, &world.change()).await;
    changed.unwrap()
}

fn severity(random: &mut Random) -> Severity {
    Severity::from_code(i16::try_from(random.below(5)).unwrap()).unwrap()
}

fn query(random: &mut Random, organizations: [OrganizationId; 2], alerts: &[Alert]) -> AlertQuery {
    // Few filters at once find something; many find the seams between them.
    let chance = random.below(4) + 2;
    let mut asked = || random_below(random, chance);
    let chosen: [bool; 10] = std::array::from_fn(|_| asked());
    let filter = AlertFilter {
        statuses: when(chosen[0], || random.some(&STATUSES, 1, 3).into_iter().map(key).collect()),
        status_classes: when(chosen[1], || random.some(&StatusClass::ALL, 1, 3)),
        types: when(chosen[2], || random.some(&EntityType::ALL, 1, 3)),
        severities: when(chosen[3], || random.some(&Severity::GIVEN, 1, 4)),
        dispositions: when(chosen[9], || random.some(&Disposition::GIVEN, 1, 3)),
        assigned_to: chosen[4].then(|| text(random.pick(&["", "ada", "bob", "😀", "nobody"]))),
        escalated_to: chosen[5].then(|| text(random.pick(&PEOPLE))),
        entity_ids: when(chosen[6], || entity_ids(random)),
        created: if chosen[7] { range(random, alerts) } else { TimeRange::default() },
        updated: if chosen[8] { range(random, alerts) } else { TimeRange::default() },
    };
    AlertQuery {
        organization_id: random.pick(&organizations),
        filter,
        order: random.pick(&[SortOrder::Ascending, SortOrder::Descending]),
        after: None,
        size: PageSize::parse(Some(random.pick(&[3, 7, 20, 60, 200])), PageSize::DEFAULT).unwrap(),
        include_total: true,
    }
}

fn random_below(random: &mut Random, chance: usize) -> bool {
    random.below(chance) == 0
}

fn when<T>(asked: bool, values: impl FnOnce() -> Vec<T>) -> Vec<T> {
    if asked { values() } else { Vec::new() }
}

fn entity_ids(random: &mut Random) -> Vec<EntityId> {
    let asked = random.some(&["bln_1", "bal_1", "txn_1", "idt_A", "idt_2", "txn_404"], 1, 4);
    entities(&asked).iter().cloned().collect()
}

/// Often bounded by the very instants of alerts, which are excluded; sometimes by ones far away, or empty.
fn range(random: &mut Random, alerts: &[Alert]) -> TimeRange {
    let mut end = || match random.below(8) {
        0 => DateTime::from_timestamp_micros(-30_610_224_000_000_000),
        1 => DateTime::from_timestamp_micros(253_402_300_799_999_999),
        2 | 3 => None,
        4 => Some(moment(random) + TimeDelta::microseconds(1)),
        _ => Some(random.pick(alerts).updated_at),
    };
    TimeRange { after: end(), before: end() }
}

/// Follows the pages of a list to its end and compares; tells how many alerts it holds. The total does not depend on the
/// page: it is asked for with the first two.
async fn assert_agrees(world: &World, mut query: AlertQuery, alerts: &[Alert]) -> usize {
    let expected = expected(&query, alerts);
    let mut seen: Vec<Alert> = Vec::new();
    loop {
        let page = world.store.alerts(&query).await.unwrap();
        let left = expected.len() - seen.len();
        assert_eq!(page.items.len(), left.min(query.size.get()), "{query:?}");
        assert_eq!(page.has_more, left > query.size.get(), "{query:?}");
        let total = query.include_total.then(|| i64::try_from(expected.len()).unwrap());
        assert_eq!(page.total, total, "{query:?}");
        seen.extend(page.items);
        if !page.has_more {
            break;
        }
        query.include_total = query.after.is_none();
        query.after = seen.last().map(Alert::cursor);
    }
    assert_eq!(ids(&seen), ids(&expected), "{query:?}");
    assert_eq!(seen, expected, "{query:?}");
    seen.len()
}

fn expected(query: &AlertQuery, alerts: &[Alert]) -> Vec<Alert> {
    let mut matching: Vec<_> = alerts
        .iter()
        .filter(|alert| alert.organization_id == query.organization_id && matches(&query.filter, alert))
        .cloned()
        .collect();
    matching.sort_by_key(|alert| (alert.created_at, alert.id));
    if query.order == SortOrder::Descending {
        matching.reverse();
    }
    matching
}

fn matches(filter: &AlertFilter, alert: &Alert) -> bool {
    any_of(&filter.statuses, &alert.status)
        && any_of(&filter.status_classes, &alert.status_class)
        && any_of(&filter.types, &alert.kind)
        && any_of(&filter.severities, &alert.severity)
        && any_of(&filter.dispositions, &alert.disposition)
        && filter.assigned_to.as_ref().is_none_or(|assignee| *assignee == alert.assigned_to)
        && filter.escalated_to.as_ref().is_none_or(|person| alert.escalated_to.contains(person))
        && (filter.entity_ids.is_empty() || alert.entities.iter().any(|id| filter.entity_ids.contains(id)))
        && within(filter.created, alert.created_at)
        && within(filter.updated, alert.updated_at)
}

fn any_of<T: PartialEq>(asked: &[T], value: &T) -> bool {
    asked.is_empty() || asked.contains(value)
}

fn within(range: TimeRange, at: Timestamp) -> bool {
    range.after.is_none_or(|after| at > after) && range.before.is_none_or(|before| at < before)
}
