# graphkeeper as a container: docker build -t graphkeeper .
# docker run --volume ./graphkeeper:/etc/graphkeeper:ro --volume graphkeeper:/var/lib/graphkeeper graphkeeper
# Secrets are files beside the configuration, not readable by everybody: chown 10001, chmod 0400.
FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
# The queries are checked against the files in .sqlx, and no database is asked.
ENV SQLX_OFFLINE=true
RUN cargo build --profile dist --locked

FROM debian:bookworm-slim
# Unpinned on purpose: certificates and time zones are wanted as they are today.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates tzdata \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --system --gid 10001 graphkeeper \
    && useradd --system --uid 10001 --gid graphkeeper --home-dir /var/lib/graphkeeper --shell /usr/sbin/nologin graphkeeper \
    && install -d -m 0750 -o graphkeeper -g graphkeeper /var/lib/graphkeeper /run/graphkeeper
COPY --from=build /src/target/dist/graphkeeper /usr/bin/graphkeeper
COPY --from=build /src/README.md /src/LICENSE-MIT /src/LICENSE-APACHE /src/graphkeeper.example.toml /usr/share/doc/graphkeeper/
# By number, so that an orchestrator sees that it is not root.
USER 10001:10001
ENV STATE_DIRECTORY=/var/lib/graphkeeper
VOLUME /var/lib/graphkeeper
# It reads the configuration and the history, as any command does; the first start makes the history.
HEALTHCHECK --interval=1m --timeout=10s --start-period=1m CMD ["graphkeeper", "jobs", "--json"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["graphkeeper"]
CMD ["daemon"]
