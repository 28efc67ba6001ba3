//! What the many alerts look like, in SQL that both databases understand: how they spread over organizations, entities,
//! people and decisions. Every row begins as its number `n` and seven random numbers `a` to `g` of 0 to 9,999.

/// How many organizations there are.
pub const ORGANIZATIONS: usize = 4;
/// How many alerts are made in one transaction.
pub const CHUNK: u64 = 250_000;
/// Over which time the alerts are spread.
const YEAR_MICROS: u64 = 365 * 24 * 3_600 * 1_000_000;

/// How many alerts to make, and when.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    pub alerts: u64,
    /// When the time of the alerts begins, in microseconds.
    pub begin: u64,
}

impl Shape {
    /// The numbers of the alerts, transaction by transaction.
    pub fn chunks(self) -> impl Iterator<Item = (u64, u64)> {
        let alerts = self.alerts;
        (1..=alerts)
            .step_by(usize::try_from(CHUNK).unwrap_or(1))
            .map(move |first| (first, alerts.min(first + CHUNK - 1)))
    }

    /// Turns the rows of `drawn` into what is stored: `organization` 1 to 4, of 70, 20, 7 and 3 %; 80 % closed; a tenth of
    /// the alerts about 100 hot entities, the others about many; a fiftieth escalated; few dispositions.
    pub fn select(self) -> String {
        let Self { alerts, begin } = self;
        let step = YEAR_MICROS / alerts;
        let entities = (alerts / 5).max(1);
        format!(
            "SELECT s.*, {begin} + s.n * {step} AS micros, \
                CASE s.type WHEN 1 THEN 'bln_' WHEN 2 THEN 'txn_' ELSE 'idt_' END \
                    || (s.e * 2654435761 % 4294967296) || '-' || s.e AS entity, \
                CASE s.class WHEN 1 THEN 'FLAGGED' WHEN 2 THEN 'INVESTIGATING' ELSE 'RESOLVED' END AS status \
            FROM (SELECT n, \
                CASE WHEN a < 7000 THEN 1 WHEN a < 9000 THEN 2 WHEN a < 9700 THEN 3 ELSE 4 END AS organization, \
                CASE WHEN b < 8000 THEN 1 WHEN b < 9500 THEN 2 ELSE 3 END AS type, \
                CASE WHEN c < 8000 THEN 3 WHEN c < 9500 THEN 1 ELSE 2 END AS class, \
                CASE WHEN d < 2000 THEN 0 WHEN d < 5000 THEN 1 WHEN d < 8000 THEN 2 WHEN d < 9500 THEN 3 ELSE 4 END \
                    AS severity, \
                CASE WHEN e % 10 = 0 THEN (f * f / 1000000) ELSE 100 + (n * 7919 + f) % {entities} END AS e, \
                CASE WHEN g < 2000 THEN '' ELSE 'analyst-' || (f * g / 2000000) END AS assigned_to, \
                CASE WHEN g % 50 = 7 THEN 'lead-' || (f % 5) END AS person, \
                CASE WHEN c < 8000 AND e < 500 THEN 1 + e % 5 ELSE 0 END AS disposition \
            FROM drawn) AS s"
        )
    }
}

/// The entity that the most alerts of a kind are about.
pub fn hot_entity() -> String {
    "bln_0-0".to_owned()
}
