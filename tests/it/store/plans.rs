//! How the databases run lists of alerts among a hundred thousand of them: by an index that holds what is asked for in
//! the order of lists, seeing little more than a page.

use chrono::DateTime;
use redflag::domain::{
    AlertFilter, AlertQuery, AnomalyId, Cursor, Disposition, EntityType, PageSize, Severity, SortOrder,
    StatusClass, TimeRange, Timestamp,
};
use redflag::store::{connect::Options, postgres::PostgresStore, schema::OnOlderSchema, sqlite::SqliteStore};
use uuid::Uuid;

use super::bulk;
use super::world::{World, entity, key, text};
use crate::support::DatabaseKind;

/// A filter that a user would use.
struct Case {
    filter: AlertFilter,
    /// What drives the list: an index of `alerts`, or a table that finds alerts.
    driver: &'static str,
    /// How many of the driver's rows are seen beyond those that a page holds: those that a further filter refuses.
    skimmed: usize,
}

impl Case {
    /// Every row of the driver is an alert of the page.
    const fn exact(driver: &'static str, filter: AlertFilter) -> Self {
        Self { filter, driver, skimmed: 0 }
    }

    /// At most `skimmed` rows of the driver are looked at besides.
    const fn skims(driver: &'static str, skimmed: usize, filter: AlertFilter) -> Self {
        Self { filter, driver, skimmed }
    }

    /// The few alerts changed in a span may be sorted.
    fn is_sorted(&self) -> bool {
        self.driver == "alerts_by_update"
    }
}

fn minute(n: i64) -> Timestamp {
    DateTime::from_timestamp(bulk::START + n * 60, 0).unwrap()
}

const fn span(after: Option<Timestamp>, before: Option<Timestamp>) -> TimeRange {
    TimeRange { after, before }
}

fn single_filters() -> Vec<Case> {
    let none = AlertFilter::default;
    let status = |name| AlertFilter { statuses: vec![key(name)], ..none() };
    let created = |after, before| AlertFilter { created: span(after, before), ..none() };
    let updated = |after, before| AlertFilter { updated: span(after, before), ..none() };
    vec![
        Case::exact("alerts_by_time", none()),
        Case::exact("alerts_by_status", status("RESOLVED")),
        Case::exact("alerts_by_status", status("WAITING")),
        Case::exact(
            "alerts_by_status",
            AlertFilter { statuses: vec![key("FLAGGED"), key("PENDING")], ..none() },
        ),
        Case::exact("alerts_by_class", AlertFilter { status_classes: vec![StatusClass::Open], ..none() }),
        Case::exact("alerts_by_class", AlertFilter { status_classes: StatusClass::ALL.to_vec(), ..none() }),
        Case::exact("alerts_by_type", AlertFilter { types: vec![EntityType::Identity], ..none() }),
        Case::exact("alerts_by_type", AlertFilter { types: EntityType::ALL.to_vec(), ..none() }),
        Case::exact("alerts_by_severity", AlertFilter { severities: vec![Severity::Critical], ..none() }),
        Case::exact("alerts_by_severity", AlertFilter { severities: Severity::GIVEN.to_vec(), ..none() }),
        Case::exact(
            "alerts_by_disposition",
            AlertFilter { dispositions: vec![Disposition::Benign], ..none() },
        ),
        Case::exact(
            "alerts_by_disposition",
            AlertFilter { dispositions: Disposition::GIVEN.to_vec(), ..none() },
        ),
        Case::exact("alerts_by_assignee", AlertFilter { assigned_to: Some(text("analyst3")), ..none() }),
        Case::exact("alerts_by_assignee", AlertFilter { assigned_to: Some(text("")), ..none() }),
        Case::exact("alert_escalations", AlertFilter { escalated_to: Some(text("lead3")), ..none() }),
        Case::exact("alert_entities", AlertFilter { entity_ids: vec![entity("bln_hot")], ..none() }),
        Case::exact("alert_entities", AlertFilter { entity_ids: vec![entity("txn_7")], ..none() }),
        Case::exact(
            "alert_entities",
            AlertFilter { entity_ids: vec![entity("bln_hot"), entity("idt_3"), entity("idt_404")], ..none() },
        ),
        Case::exact("alerts_by_time", created(Some(minute(50_000)), None)),
        Case::exact("alerts_by_time", created(Some(minute(50_000)), Some(minute(52_000)))),
        Case::exact("alerts_by_time", created(None, Some(minute(60_000)))),
        Case::skims("alerts_by_update", 1_500, updated(Some(minute(98_500)), None)),
        Case::skims("alerts_by_time", 100, updated(None, Some(minute(60_000)))),
    ]
}

fn pairs_of_filters() -> Vec<Case> {
    let open = || AlertFilter { status_classes: vec![StatusClass::Open], ..AlertFilter::default() };
    let resolved = || AlertFilter { statuses: vec![key("RESOLVED")], ..AlertFilter::default() };
    let of_analyst = || AlertFilter { assigned_to: Some(text("analyst3")), ..AlertFilter::default() };
    let (after, before) = (Some(minute(50_000)), Some(minute(52_000)));
    let severe = vec![Severity::High, Severity::Critical];
    vec![
        Case::exact("alerts_by_assignee", AlertFilter { assigned_to: Some(text("analyst3")), ..open() }),
        Case::exact("alerts_by_assignee", AlertFilter { created: span(after, before), ..of_analyst() }),
        Case::exact("alerts_by_severity", AlertFilter { severities: severe.clone(), ..open() }),
        Case::exact("alerts_by_type", AlertFilter { types: vec![EntityType::Balance], ..open() }),
        Case::exact("alerts_by_status", AlertFilter { created: span(after, before), ..resolved() }),
        Case::exact("alerts_by_class", AlertFilter { created: span(after, before), ..open() }),
        Case::exact(
            "alert_entities",
            AlertFilter {
                entity_ids: vec![entity("bln_hot")],
                created: span(after, before),
                ..AlertFilter::default()
            },
        ),
        // All of what one value drives, an analyst's alerts, an entity's, a lead's; or, where PostgreSQL finds that to
        // be less work, of what the other value would.
        Case::skims(
            "alerts_by_assignee",
            2_000,
            AlertFilter { statuses: vec![key("WAITING")], ..of_analyst() },
        ),
        Case::skims("alerts_by_assignee", 2_000, AlertFilter { severities: severe.clone(), ..of_analyst() }),
        Case::skims("alert_entities", 200, AlertFilter { entity_ids: vec![entity("idt_3")], ..open() }),
        Case::skims("alert_entities", 15_000, AlertFilter { entity_ids: vec![entity("bln_hot")], ..open() }),
        Case::skims("alert_escalations", 6_000, AlertFilter { escalated_to: Some(text("lead3")), ..open() }),
        Case::skims(
            "alert_escalations",
            2_000,
            AlertFilter { escalated_to: Some(text("lead3")), ..of_analyst() },
        ),
        Case::skims(
            "alert_entities",
            // PostgreSQL may merge both indexes.
            1_000,
            AlertFilter { entity_ids: vec![entity("idt_3")], escalated_to: Some(text("lead3")), ..open() },
        ),
        Case::skims(
            "alerts_by_update",
            1_500,
            AlertFilter { updated: span(Some(minute(98_500)), None), ..open() },
        ),
        Case::skims(
            "alerts_by_status",
            2_000,
            AlertFilter { types: vec![EntityType::Transaction], ..resolved() },
        ),
        Case::skims(
            "alerts_by_severity",
            4_000,
            AlertFilter { types: vec![EntityType::Balance], severities: severe, ..open() },
        ),
    ]
}

/// The pages of a case: first and deep, in both orders, small and as large as they get.
fn pages(world: &World, case: &Case) -> Vec<AlertQuery> {
    let middle =
        Cursor { created_at: minute(51_000), anomaly_id: AnomalyId::from_uuid(Uuid::from_u128(51_000)) };
    let mut pages = Vec::new();
    for order in [SortOrder::Descending, SortOrder::Ascending] {
        for after in [None, Some(middle)] {
            for size in [PageSize::DEFAULT, PageSize::MAX] {
                pages.push(AlertQuery { order, after, size, ..world.query(case.filter.clone()) });
            }
        }
    }
    pages
}

async fn loaded(kind: DatabaseKind) -> World {
    let world = World::new(kind).await;
    let others = [world.add_organization("some").await, world.add_organization("few").await];
    bulk::load(&world, [world.organization, others[0], others[1]]).await;
    world
}

fn cases() -> impl Iterator<Item = Case> {
    single_filters().into_iter().chain(pairs_of_filters())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_reads_every_list_by_the_index_that_drives_it() {
    // Its plans must not depend on statistics, which nobody may ever have gathered.
    for world in [World::new(DatabaseKind::Sqlite).await, loaded(DatabaseKind::Sqlite).await] {
        let store = SqliteStore::open(world.database.url(), Options::for_command(OnOlderSchema::Refuse))
            .await
            .unwrap();
        for case in cases() {
            for query in pages(&world, &case) {
                assert_sqlite_seeks(&store, &case, &query).await;
            }
        }
    }
}

async fn assert_sqlite_seeks(store: &SqliteStore, case: &Case, query: &AlertQuery) {
    let [page, total] = store.explain_list(query).await.unwrap();
    let told = || format!("{query:#?}\n{}\n\n{}", page.join("\n"), total.join("\n"));
    let at_cursor = query.after.is_none() || starts_at_the_cursor(&page);
    assert!(page.iter().chain(&total).all(|step| seeks(step, case)), "{}", told());
    assert!(case.is_sorted() || (sorts_only_pages(&page) && at_cursor), "{}", told());
}

/// Whether a step of SQLite's that reads a table does so through the index it should.
fn seeks(step: &str, case: &Case) -> bool {
    let driving = match case.driver {
        "alert_entities" | "alert_escalations" => "PRIMARY KEY",
        index => index,
    };
    match step.split_once(' ').unwrap_or((step, "")) {
        ("SCAN", "d") => case.is_sorted(),
        ("SCAN", what) => ["page", "branch", "branches"].contains(&what),
        ("SEARCH", what) if what.starts_with("d ") => what.contains(driving),
        ("SEARCH", what) if what.starts_with("a ") => what.contains("(organization_id=? AND anomaly_id=?)"),
        ("SEARCH", what) => {
            what.contains("(organization_id=? AND escalated_to=? AND created_at=? AND anomaly_id=?)")
        }
        _ => true,
    }
}

/// Whether only what is already cut to a page is sorted: the branches.
fn sorts_only_pages(page: &[String]) -> bool {
    let is_sort = |step: &String| step == "USE TEMP B-TREE FOR ORDER BY";
    let is_branch = |step: &String| step == "SCAN branch" || step == "SCAN branches";
    page.windows(2).all(|steps| !is_sort(&steps[1]) || is_branch(&steps[0]))
}

fn starts_at_the_cursor(page: &[String]) -> bool {
    let mut driving = page.iter().filter(|step| step.starts_with("SEARCH d "));
    driving.all(|step| step.contains("AND (created_at,anomaly_id)"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_reads_every_list_by_the_index_that_drives_it() {
    let world = loaded(DatabaseKind::Postgres).await;
    let store =
        PostgresStore::open(world.database.url(), Options::for_command(OnOlderSchema::Refuse)).await.unwrap();
    for case in cases() {
        for query in pages(&world, &case) {
            let [page, total] = store.explain_list(&query).await.unwrap();
            let told = || format!("{query:#?}\n{}\n\n{}", page.join("\n"), total.join("\n"));
            assert!(!page.iter().any(|step| step.contains("Seq Scan")), "{}", told());
            assert!(page.iter().any(|step| is_driven(step, &case)), "{}", told());
            // Where a branch holds no more than a few pages, the database may sort it.
            let most = 4 * (query.size.get() + 1) + case.skimmed;
            assert!(page.iter().all(|step| rows_seen(step) <= most), "{}", told());
            assert!(counts_by_index(&total), "{}", told());
        }
    }
}

/// Whether a step of PostgreSQL's reads by the index it should.
fn is_driven(step: &str, case: &Case) -> bool {
    [" using ", " on "].iter().any(|word| step.contains(&format!("{word}{}", case.driver)))
}

/// How many rows a step read, over all times that it ran, or refused. Merging is bounded by what branches read.
fn rows_seen(step: &str) -> usize {
    let number = |label: &str| {
        let (_, rest) = step.split_once(label)?;
        rest.split(|c: char| !c.is_ascii_digit()).next()?.parse::<usize>().ok()
    };
    let given = number("actual rows=").unwrap_or(0) * number("loops=").unwrap_or(0);
    let read = if step.contains(" Scan") { given } else { 0 };
    read.max(number("Rows Removed by Filter: ").unwrap_or(0))
}

/// Counting looks at every alert that matches; where those are many of all, reading the table through is cheapest.
fn counts_by_index(total: &[String]) -> bool {
    let many = usize::try_from(bulk::ALERTS / 20).unwrap();
    total.iter().all(|step| !step.contains("Seq Scan") || rows_seen(step) >= many)
}
