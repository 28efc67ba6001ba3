//! The integration tests, in one binary. Run them with `make test`, which brings a PostgreSQL server.

#[cfg(test)]
mod architecture;
#[cfg(test)]
mod crash;
#[cfg(test)]
mod grpc;
#[cfg(test)]
mod lifecycle;
#[cfg(test)]
mod store;
#[cfg(test)]
mod support;
