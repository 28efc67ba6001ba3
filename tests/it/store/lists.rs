//! Lists of alerts: their order, their pages, and what a row that makes no sense does to them. The filters are held
//! against a model in `model`.

use chrono::TimeDelta;
use redflag::domain::{
    Alert, AlertFilter, AlertPatch, AlertQuery, AnomalyId, Disposition, NewAlert, PageSize, Severity,
    SortOrder, StatusClass, TimeRange,
};
use redflag::store::StoreError;
use uuid::Uuid;

use super::on_every_store;
use super::world::{Changes, World, entities, ids, key, text};
use crate::support::instant;

on_every_store!(
    alerts_of_one_instant_are_ordered_by_id,
    the_last_page_is_known_to_be_the_last,
    both_ends_of_a_span_are_excluded,
    a_total_is_counted_only_when_asked_for,
    an_alert_about_several_of_the_entities_asked_for_is_listed_once,
    nobody_is_an_assignee_that_can_be_asked_for,
    every_combination_of_filters_is_a_statement_that_runs,
    a_row_that_makes_no_sense_is_an_internal_error,
);

fn size(entries: i64) -> PageSize {
    PageSize::parse(Some(entries), PageSize::DEFAULT).unwrap()
}

async fn alerts_of_one_instant_are_ordered_by_id(world: &World) {
    // Signed bytes, or text, would order these otherwise.
    let mut expected =
        [1, 0x7f << 120, 0x80 << 120, u128::MAX].map(|bits| AnomalyId::from_uuid(Uuid::from_u128(bits)));
    for index in [2, 0, 3, 1] {
        world.flag(NewAlert { id: expected[index], ..world.alert() }).await;
    }
    for order in [SortOrder::Ascending, SortOrder::Descending] {
        let mut query = AlertQuery { order, size: size(1), ..world.query(AlertFilter::default()) };
        let mut seen = Vec::new();
        while seen.len() < expected.len() {
            let page = world.store.alerts(&query).await.unwrap();
            query.after = page.items.last().map(Alert::cursor);
            seen.extend(ids(&page.items));
        }
        assert_eq!(seen, expected);
        expected.reverse();
    }
}

async fn the_last_page_is_known_to_be_the_last(world: &World) {
    for _ in 0..4 {
        world.flag(world.alert()).await;
    }
    for (entries, has_more) in [(3, true), (4, false), (5, false)] {
        let query = AlertQuery { size: size(entries), ..world.query(AlertFilter::default()) };
        assert_eq!(world.store.alerts(&query).await.unwrap().has_more, has_more);
    }
    let query = AlertQuery { size: size(4), ..world.query(AlertFilter::default()) };
    let whole = world.store.alerts(&query).await.unwrap();
    let after = whole.items.last().map(Alert::cursor);
    let rest = world.store.alerts(&AlertQuery { after, ..query }).await.unwrap();
    assert!(rest.items.is_empty() && !rest.has_more);
}

async fn both_ends_of_a_span_are_excluded(world: &World) {
    let tick = TimeDelta::microseconds(1);
    for at in ["1969-12-31T23:59:59.999999Z", "2026-01-01T00:00:00.5Z", "9000-01-01T00:00:00Z"].map(instant) {
        world.clock.set(at);
        let alert = world.flag(world.alert()).await;
        let around = |after, before| TimeRange { after: Some(after), before: Some(before) };
        for (range, found) in [
            (around(at - tick, at + tick), true),
            (around(at, at + tick), false),
            (around(at - tick, at), false),
        ] {
            for filter in [
                AlertFilter { created: range, ..AlertFilter::default() },
                AlertFilter { updated: range, ..AlertFilter::default() },
                AlertFilter { created: range, updated: range, ..AlertFilter::default() },
            ] {
                let expected = if found { vec![alert.id] } else { vec![] };
                assert_eq!(world.find(filter).await, expected, "{range:?}");
            }
        }
    }
}

async fn a_total_is_counted_only_when_asked_for(world: &World) {
    world.flag(world.alert()).await;
    let query = AlertQuery { include_total: false, ..world.query(AlertFilter::default()) };
    assert_eq!(world.store.alerts(&query).await.unwrap().total, None);
}

async fn an_alert_about_several_of_the_entities_asked_for_is_listed_once(world: &World) {
    let about = |names: &[&str]| NewAlert { entities: entities(names), ..world.alert() };
    let mut expected = Vec::new();
    for names in [&["bln_1", "txn_1", "idt_1"][..], &["idt_1"], &["txn_1", "bln_1"], &["txn_2"]] {
        expected.insert(0, world.flag(about(names)).await.id);
    }
    expected.remove(0);
    let asked = entities(&["idt_1", "bln_1", "txn_1", "txn_404"]);
    let filter = AlertFilter { entity_ids: asked.iter().cloned().collect(), ..AlertFilter::default() };
    assert_eq!(world.find(filter).await, expected);
}

async fn nobody_is_an_assignee_that_can_be_asked_for(world: &World) {
    let nobody_s = world.flag(world.alert()).await;
    let ada_s = world.flag(NewAlert { assigned_to: text("ada"), ..world.alert() }).await;
    for (person, expected) in [("", nobody_s.id), ("ada", ada_s.id)] {
        let filter = AlertFilter { assigned_to: Some(text(person)), ..AlertFilter::default() };
        assert_eq!(world.find(filter).await, [expected]);
    }
}

/// Every subset of the filters, both orders, first and later pages: each is planned from its own text.
async fn every_combination_of_filters_is_a_statement_that_runs(world: &World) {
    let alert = NewAlert {
        severity: Severity::High,
        assigned_to: text("ada"),
        escalated_to: vec![text("bob")],
        entities: entities(&["txn_1", "bln_1"]),
        ..world.alert()
    };
    let alert = world.flag(alert).await;
    let benign = AlertPatch { disposition: Some(Disposition::Benign), ..AlertPatch::default() };
    let alert =
        world.store.update_alert(world.organization, alert.id, &benign, &world.change()).await.unwrap();
    let tick = TimeDelta::microseconds(1);
    let (just_before, just_after) = (Some(alert.created_at - tick), Some(alert.created_at + tick));
    for subset in 0..1_u32 << 11 {
        let asked = |bit: u32| subset & (1 << bit) != 0;
        let filter = AlertFilter {
            statuses: if asked(0) { vec![key("FLAGGED"), key("RESOLVED")] } else { vec![] },
            status_classes: if asked(1) { vec![StatusClass::Open, StatusClass::Closed] } else { vec![] },
            types: if asked(2) { vec![alert.kind] } else { vec![] },
            severities: if asked(3) { vec![Severity::High, Severity::Low] } else { vec![] },
            dispositions: if asked(10) { vec![Disposition::Benign, Disposition::Duplicate] } else { vec![] },
            assigned_to: asked(4).then(|| text("ada")),
            escalated_to: asked(5).then(|| text("bob")),
            entity_ids: if asked(6) { alert.entities.iter().cloned().collect() } else { vec![] },
            created: TimeRange {
                after: just_before.filter(|_| asked(7)),
                before: just_after.filter(|_| asked(7)),
            },
            updated: TimeRange {
                after: just_before.filter(|_| asked(8)),
                before: just_after.filter(|_| asked(9)),
            },
        };
        let order = if subset.count_ones() % 2 == 0 { SortOrder::Ascending } else { SortOrder::Descending };
        let query = AlertQuery { order, ..world.query(filter) };
        let page = world.store.alerts(&query).await.unwrap();
        assert_eq!((ids(&page.items), page.total), (vec![alert.id], Some(1)), "{query:?}");
        let rest = AlertQuery { after: Some(alert.cursor()), include_total: false, ..query };
        assert!(world.store.alerts(&rest).await.unwrap().items.is_empty());
    }
}

async fn a_row_that_makes_no_sense_is_an_internal_error(world: &World) {
    let alert = world.flag(world.alert()).await;
    world.database.execute("UPDATE alerts SET description = ''").await;
    let read = world.store.alert(world.organization, alert.id).await;
    let listed = world.store.alerts(&world.query(AlertFilter::default())).await.map(drop);
    for failed in [read.map(drop), listed] {
        let Err(StoreError::Inconsistent(why)) = failed else { panic!("{failed:?}") };
        let expected = format!("inconsistent row: alerts.description of {}: must not be empty", alert.id);
        assert_eq!(why.to_string(), expected);
    }
}
