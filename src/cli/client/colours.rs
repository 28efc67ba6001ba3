//! Colours of statuses.

use std::collections::BTreeMap;

use super::screen::{Colour, Screen, StyledText};
use crate::client::{Client, json, pb};

/// The organization's colours by the keys of its statuses.
#[derive(Debug, Default)]
pub struct StatusColours(BTreeMap<String, Colour>);

impl StatusColours {
    /// Asks the server for the colours, if the screen shows colours. Without an answer, statuses have the colours of their
    /// classes.
    pub async fn of(client: &Client, screen: Screen) -> Self {
        if !screen.is_coloured() {
            return Self::default();
        }
        let answer = client.list_alert_statuses(pb::ListAlertStatusesRequest::default()).await;
        answer.map(|list| Self::listed(&list)).unwrap_or_default()
    }

    /// Takes the colours of a list of statuses.
    pub fn listed(list: &pb::ListAlertStatusesResponse) -> Self {
        let all = list.builtin.iter().chain(&list.alert_statuses);
        Self(all.filter_map(|status| Some((status.key.clone(), parse(&status.colour)?))).collect())
    }

    /// Makes a cell with a status in its colour.
    pub fn styled(&self, status: &str, class: i32) -> StyledText {
        let colour = self.0.get(status).copied().or_else(|| of_class(class));
        StyledText::from(status).coloured(colour)
    }
}

fn of_class(class: i32) -> Option<Colour> {
    match json::status_class(class) {
        "open" => Some((220, 38, 38)),
        "in_progress" => Some((217, 119, 6)),
        "closed" => Some((22, 163, 74)),
        _ => None,
    }
}

/// Parses a colour such as `#3B82F6`.
fn parse(raw: &str) -> Option<Colour> {
    let number = raw.strip_prefix('#').filter(|digits| digits.len() == 6)?;
    let [_, r, g, b] = u32::from_str_radix(number, 16).ok()?.to_be_bytes();
    Some((r, g, b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn malformed_colours_are_ignored() {
        assert_eq!(parse("#3B82F6"), Some((0x3b, 0x82, 0xf6)));
        assert_eq!(["3B82F6", "#3B82F", "#3B82F61", "red", ""].map(parse), [None; 5]);
    }
}
