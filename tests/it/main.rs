//! The integration tests, in one binary. Run them with `make test`, which brings a PostgreSQL server.

#[cfg(test)]
mod store;
#[cfg(test)]
mod support;
