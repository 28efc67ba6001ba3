//! How a list of alerts is read: which index drives it, and the SQL that both databases share.
//!
//! A page must cost the same at ten million alerts as at ten thousand, so no list may sort or skim what grows. One filter
//! *drives*: its index holds the matching alerts in the order of lists, and each of its values makes one *branch* that
//! reads at most a page from there. The branches are merged, cut to a page of keys, and only then the alerts of those
//! keys are read. All other filters are *residual*: they are checked on the way.

use super::part::Part;
use crate::domain::{
    AlertFilter, AlertQuery, Assignee, Disposition, EntityId, EntityType, OrganizationId, Person, Severity,
    SortOrder, StatusClass, StatusKey, TimeRange, Timestamp,
};

/// The statement that reads the page: `columns` of `alerts a`, one row more than the page holds if there are more.
pub fn page(query: &AlertQuery, columns: &'static str) -> Vec<Part> {
    let (driver, residual) = drive(&query.filter);
    let [within_branch, order, of_page] = match query.order {
        SortOrder::Descending => [
            " ORDER BY d.created_at DESC, d.anomaly_id DESC",
            " ORDER BY created_at DESC, anomaly_id DESC",
            " ORDER BY page.created_at DESC, page.anomaly_id DESC",
        ],
        SortOrder::Ascending => [
            " ORDER BY d.created_at, d.anomaly_id",
            " ORDER BY created_at, anomaly_id",
            " ORDER BY page.created_at, page.anomaly_id",
        ],
    };
    let limit = query.size.with_next();
    let [before, between] = match driver {
        Driver::UpdatedAfter(_) => [
            "SELECT * FROM (WITH changed AS MATERIALIZED (",
            ") SELECT d.created_at, d.anomaly_id FROM changed d",
        ],
        _ => ["SELECT * FROM (", ""],
    };
    let branch = |branch: &Branch| {
        let mut parts = vec![Part::Sql(before)];
        parts.extend(branch.select(query, &residual));
        parts.extend([
            Part::Sql(between),
            Part::Sql(within_branch),
            Part::Sql(" LIMIT "),
            Part::Limit(limit),
            Part::Sql(") AS branch"),
        ]);
        parts
    };
    let mut parts = vec![Part::Sql("WITH page AS (SELECT created_at, anomaly_id FROM (")];
    parts.extend(union(&driver, branch));
    parts.extend([Part::Sql(") AS branches"), Part::Sql(order), Part::Sql(" LIMIT "), Part::Limit(limit)]);
    parts.extend([Part::Sql(") SELECT "), Part::Sql(columns)]);
    parts.push(Part::Sql(
        " FROM page JOIN alerts a ON a.anomaly_id = page.anomaly_id AND a.organization_id = ",
    ));
    parts.push(Part::value(query.organization_id.uuid()));
    parts.push(Part::Sql(of_page));
    parts
}

/// The statement that counts all alerts that match, wherever the page stands.
pub fn total(query: &AlertQuery) -> Vec<Part> {
    let whole = AlertQuery { after: None, ..query.clone() };
    let (driver, residual) = drive(&whole.filter);
    let mut parts = vec![Part::Sql("SELECT count(*) FROM (")];
    parts.extend(union(&driver, |branch| branch.select(&whole, &residual)));
    parts.push(Part::Sql(") AS branches"));
    parts
}

/// Joins the statements of all branches. An alert can be about several of the entities asked for, and is seen once.
fn union(driver: &Driver<'_>, statement: impl Fn(&Branch) -> Vec<Part>) -> Vec<Part> {
    let between = if matches!(driver, Driver::Entities(_)) { " UNION " } else { " UNION ALL " };
    let statements: Vec<_> = driver.branches().iter().map(statement).collect();
    statements.join(&Part::Sql(between))
}

/// The filter that a list is read by.
#[derive(Debug, PartialEq)]
enum Driver<'q> {
    /// None: all alerts in the order of lists.
    Everything,
    Entities(&'q [EntityId]),
    EscalatedTo(&'q Person),
    AssignedTo(&'q Assignee, Vec<StatusClass>),
    /// Few alerts change within the time that somebody asks about; these are gathered and sorted. Gathered first, lest a
    /// database follow the order of lists instead, past all that did not change.
    UpdatedAfter(Timestamp),
    Dispositions(&'q [Disposition], Vec<StatusClass>),
    Statuses(&'q [StatusKey]),
    Severities(&'q [Severity], Vec<StatusClass>),
    Types(&'q [EntityType], Vec<StatusClass>),
    Classes(&'q [StatusClass]),
}

/// Chooses what drives a list, from what usually leaves least, and what is left to check.
fn drive(filter: &AlertFilter) -> (Driver<'_>, AlertFilter) {
    let mut residual = filter.clone();
    let driver = if !filter.entity_ids.is_empty() {
        residual.entity_ids.clear();
        Driver::Entities(&filter.entity_ids)
    } else if let Some(person) = &filter.escalated_to {
        residual.escalated_to = None;
        Driver::EscalatedTo(person)
    } else if let Some(assignee) = &filter.assigned_to {
        residual.assigned_to = None;
        Driver::AssignedTo(assignee, take_classes(&mut residual))
    } else if let Some(after) = filter.updated.after {
        residual.updated.after = None;
        Driver::UpdatedAfter(after)
    } else if !filter.dispositions.is_empty() {
        residual.dispositions.clear();
        Driver::Dispositions(&filter.dispositions, take_classes(&mut residual))
    } else if !filter.statuses.is_empty() {
        residual.statuses.clear();
        Driver::Statuses(&filter.statuses)
    } else if !filter.severities.is_empty() {
        residual.severities.clear();
        Driver::Severities(&filter.severities, take_classes(&mut residual))
    } else if !filter.types.is_empty() {
        residual.types.clear();
        Driver::Types(&filter.types, take_classes(&mut residual))
    } else if !filter.status_classes.is_empty() {
        residual.status_classes.clear();
        Driver::Classes(&filter.status_classes)
    } else {
        Driver::Everything
    };
    (driver, residual)
}

/// The classes asked for, or all: an index that holds the class before the time is read class by class.
fn take_classes(residual: &mut AlertFilter) -> Vec<StatusClass> {
    let asked = std::mem::take(&mut residual.status_classes);
    if asked.is_empty() { StatusClass::ALL.to_vec() } else { asked }
}

/// One value of the driving filter: where its rows stand, and the conditions that find them.
struct Branch {
    table: &'static str,
    index: Option<&'static str>,
    conditions: Vec<(&'static str, Part)>,
    /// Ties the driving rows to their alerts, where the driver is a table of its own.
    join: Option<&'static str>,
    /// A condition without a value.
    fixed: &'static str,
}

impl Driver<'_> {
    fn branches(&self) -> Vec<Branch> {
        match self {
            Self::Everything => vec![Branch::on_alerts("alerts_by_time", vec![])],
            Self::Entities(ids) => ids
                .iter()
                .map(|id| Branch::on("alert_entities d", " AND d.entity_id = ", Part::value(id.to_string())))
                .collect(),
            Self::EscalatedTo(person) => {
                let person = Part::value(person.to_string());
                vec![Branch::on("alert_escalations d", " AND d.escalated_to = ", person)]
            }
            Self::AssignedTo(assignee, classes) => {
                let value = || Part::value(assignee.to_string());
                by_class(classes, "alerts_by_assignee", " AND d.assigned_to = ", value)
            }
            Self::UpdatedAfter(after) => {
                vec![Branch::on_alerts(
                    "alerts_by_update",
                    vec![(" AND d.updated_at > ", Part::value(*after))],
                )]
            }
            Self::Statuses(keys) => keys
                .iter()
                .map(|key| (" AND d.status = ", Part::value(key.to_string())))
                .map(|condition| Branch::on_alerts("alerts_by_status", vec![condition]))
                .collect(),
            Self::Dispositions(dispositions, classes) => dispositions
                .iter()
                .flat_map(|disposition| {
                    let value = || Part::value(disposition.code());
                    by_class(classes, "alerts_by_disposition", " AND d.disposition = ", value)
                })
                // Alerts without disposition are left out likewise.
                .map(|branch| Branch { fixed: " AND d.disposition <> 0", ..branch })
                .collect(),
            Self::Severities(severities, classes) => severities
                .iter()
                .flat_map(|severity| {
                    let value = || Part::value(severity.code());
                    by_class(classes, "alerts_by_severity", " AND d.severity = ", value)
                })
                // The index leaves out alerts without severity; saying so lets the databases use it.
                .map(|branch| Branch { fixed: " AND d.severity <> 0", ..branch })
                .collect(),
            Self::Types(kinds, classes) => kinds
                .iter()
                .flat_map(|kind| {
                    by_class(classes, "alerts_by_type", " AND d.type = ", || Part::value(kind.code()))
                })
                .collect(),
            Self::Classes(classes) => classes
                .iter()
                .map(|class| (" AND d.status_class = ", Part::value(class.code())))
                .map(|condition| Branch::on_alerts("alerts_by_class", vec![condition]))
                .collect(),
        }
    }
}

fn by_class(
    classes: &[StatusClass],
    index: &'static str,
    condition: &'static str,
    value: impl Fn() -> Part,
) -> Vec<Branch> {
    classes
        .iter()
        .map(|class| (" AND d.status_class = ", Part::value(class.code())))
        .map(|class| Branch::on_alerts(index, vec![(condition, value()), class]))
        .collect()
}

impl Branch {
    fn on_alerts(index: &'static str, conditions: Vec<(&'static str, Part)>) -> Self {
        let (table, index) = ("alerts d", Some(index));
        Self { table, index, conditions, join: None, fixed: "" }
    }

    fn on(table: &'static str, condition: &'static str, value: Part) -> Self {
        let join = " JOIN alerts a ON a.organization_id = d.organization_id AND a.anomaly_id = d.anomaly_id";
        let conditions = vec![(condition, value)];
        Self { table, index: None, conditions, join: Some(join), fixed: "" }
    }

    /// The keys of the branch's alerts that match and stand after the cursor, in no order.
    fn select(&self, query: &AlertQuery, residual: &AlertFilter) -> Vec<Part> {
        let mut parts = vec![Part::Sql("SELECT d.created_at, d.anomaly_id FROM "), Part::Sql(self.table)];
        parts.extend(self.index.map(Part::Index));
        let alert = if self.join.is_some() { "a" } else { "d" };
        let checks = residual_checks(residual, query.organization_id, alert);
        if !checks.is_empty() {
            parts.extend(self.join.map(Part::Sql));
        }
        parts.extend([Part::Sql(" WHERE d.organization_id = "), Part::value(query.organization_id.uuid())]);
        for (condition, value) in &self.conditions {
            parts.extend([Part::Sql(condition), value.clone()]);
        }
        parts.push(Part::Sql(self.fixed));
        parts.extend(span(query));
        parts.extend(checks);
        parts
    }
}

/// The part of time that the page lies in. The cursor lies within the span, so one end of it is enough. What was last
/// changed before an instant was also made before it.
fn span(query: &AlertQuery) -> Vec<Part> {
    let TimeRange { after, before } = query.filter.created;
    let before = before.into_iter().chain(query.filter.updated.before).min();
    let mut parts = Vec::new();
    let ascending = query.order == SortOrder::Ascending;
    if let Some(after) = after.filter(|_| !ascending || query.after.is_none()) {
        parts.extend([Part::Sql(" AND d.created_at > "), Part::value(after)]);
    }
    if let Some(before) = before.filter(|_| ascending || query.after.is_none()) {
        parts.extend([Part::Sql(" AND d.created_at < "), Part::value(before)]);
    }
    if let Some(cursor) = &query.after {
        parts.push(Part::Sql(if ascending {
            " AND (d.created_at, d.anomaly_id) > ("
        } else {
            " AND (d.created_at, d.anomaly_id) < ("
        }));
        parts.extend([
            Part::value(cursor.created_at),
            Part::Sql(", "),
            Part::value(cursor.anomaly_id.uuid()),
        ]);
        parts.push(Part::Sql(")"));
    }
    parts
}

/// The conditions that what does not drive puts on an alert.
fn residual_checks(residual: &AlertFilter, organization: OrganizationId, alert: &'static str) -> Vec<Part> {
    let mut checks = Checks { alert, parts: Vec::new() };
    checks.any_of(".status IN (", residual.statuses.iter().map(|key| Part::value(key.to_string())));
    checks
        .any_of(".status_class IN (", residual.status_classes.iter().map(|class| Part::value(class.code())));
    checks.any_of(".type IN (", residual.types.iter().map(|kind| Part::value(kind.code())));
    checks.any_of(".severity IN (", residual.severities.iter().map(|severity| Part::value(severity.code())));
    let dispositions = residual.dispositions.iter().map(|disposition| Part::value(disposition.code()));
    checks.any_of(".disposition IN (", dispositions);
    checks.any_of(".assigned_to IN (", residual.assigned_to.iter().map(|to| Part::value(to.to_string())));
    checks.compare(".updated_at > ", residual.updated.after);
    checks.compare(".updated_at < ", residual.updated.before);
    if let Some(person) = &residual.escalated_to {
        checks.escalated_to(person, organization);
    }
    checks.parts
}

/// Conditions on the alert that a statement calls `alert`, each begun with AND.
struct Checks {
    alert: &'static str,
    parts: Vec<Part>,
}

impl Checks {
    fn any_of(&mut self, condition: &'static str, values: impl Iterator<Item = Part>) {
        let mut values = values.peekable();
        if values.peek().is_none() {
            return;
        }
        self.begin(condition);
        for (index, value) in values.enumerate() {
            self.parts.extend((index > 0).then_some(Part::Sql(", ")));
            self.parts.push(value);
        }
        self.parts.push(Part::Sql(")"));
    }

    fn compare(&mut self, condition: &'static str, at: Option<Timestamp>) {
        if let Some(at) = at {
            self.begin(condition);
            self.parts.push(Part::value(at));
        }
    }

    fn escalated_to(&mut self, person: &Person, organization: OrganizationId) {
        self.parts.extend([
            Part::Sql(" AND EXISTS (SELECT 1 FROM alert_escalations e WHERE e.organization_id = "),
            Part::value(organization.uuid()),
            Part::Sql(" AND e.escalated_to = "),
            Part::value(person.to_string()),
            Part::Sql(" AND e.created_at = d.created_at AND e.anomaly_id = d.anomaly_id)"),
        ]);
    }

    fn begin(&mut self, condition: &'static str) {
        self.parts.extend([Part::Sql(" AND "), Part::Sql(self.alert), Part::Sql(condition)]);
    }
}
