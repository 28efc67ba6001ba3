//! The database.

use clap::Args;

use crate::store::{connect, schema::OpenError};

/// The database, by URL or by a file that holds the URL.
#[derive(Debug, Clone, Args)]
pub struct Database {
    /// The database: `sqlite:FILE`, `sqlite::memory:` for trials, or `postgres://USER:PASSWORD@HOST:PORT/NAME` (with
    /// `?sslmode=verify-full` over a network)
    #[arg(
        long,
        env = "REDFLAG_DATABASE_URL",
        default_value = "sqlite:redflag.db",
        hide_env_values = true,
        value_name = "URL"
    )]
    database_url: String,
    /// A file that holds the URL instead, where others can't read a password in it
    #[arg(
        long,
        env = "REDFLAG_DATABASE_URL_FILE",
        value_name = "FILE",
        value_parser = read_url,
        conflicts_with = "database_url"
    )]
    database_url_file: Option<String>,
}

impl Database {
    /// Names the database by its URL.
    pub fn set_url(&mut self, url: &str) {
        url.clone_into(&mut self.database_url);
        self.database_url_file = None;
    }

    /// Returns the URL, from its file where there is one.
    pub fn url(&self) -> &str {
        self.database_url_file.as_deref().unwrap_or(&self.database_url)
    }
}

/// Reads the URL in a file, which may end with a line feed. Errors don't repeat the content, which may hold a password.
fn read_url(path: &str) -> Result<String, String> {
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    let url = text.trim_end_matches(['\r', '\n']);
    if url.contains(char::is_whitespace) {
        return Err("it must hold one URL and nothing else".to_owned());
    }
    let refused =
        |error: OpenError| format!("the URL in it is refused: {}", without_quotes(&error.to_string()));
    connect::check_url(url).map_err(refused)?;
    Ok(url.to_owned())
}

/// Removes the quoted part of a text.
fn without_quotes(text: &str) -> String {
    let is_quote = |c: char| matches!(c, '`' | '"' | '\'');
    match (text.find(is_quote), text.rfind(is_quote)) {
        (Some(first), Some(last)) if first < last => format!("{}…{}", &text[..first], &text[last + 1..]),
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_are_removed_from_errors() {
        assert_eq!(without_quotes("has the parameter `se`cret`, which"), "has the parameter …, which");
        assert_eq!(without_quotes("the database URL names no file"), "the database URL names no file");
    }
}
