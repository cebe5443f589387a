# The image of the pipe: one static binary and nothing else. `docker build .` makes all of it, with BuildKit, which is
# Docker's builder since version 23 (before that, set DOCKER_BUILDKIT=1).
#
# Where the builder's base image cannot be pulled, or the binary is built already, give the folder that holds the binary
# as the context, and the final stage takes it from there:
#   docker build --build-arg BINARY=prebuilt -f Dockerfile target/x86_64-unknown-linux-gnu/release
ARG BINARY=built

FROM rust:1.95-slim-bookworm AS built
WORKDIR /source
COPY . .
# The binary carries the list of its dependencies, for scanners to read.
RUN cargo install --locked --root /tools cargo-auditable@0.7.7 \
    && PATH="/tools/bin:$PATH" cargo auditable build --release --locked --config .cargo/release.toml \
    && mv target/*/release/mojito-publish /mojito-publish

FROM scratch AS prebuilt
COPY mojito-publish /mojito-publish

FROM ${BINARY} AS binary

FROM scratch
LABEL org.opencontainers.image.title="mojito-publish" \
      org.opencontainers.image.description="Publishes a built Mojito A/B-testing container to S3 and invalidates CloudFront" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.source="https://bitbucket.org/mojitopublish/mojito-publish"
COPY --from=binary /mojito-publish /mojito-publish
# No USER: the step's clone may be readable, and the pipe's storage folders writable, by root alone, and Bitbucket maps
# root of the container to no more than the step has anyway. The binary needs no privilege, no HOME, no /tmp and no
# writable path; `docker run --user 65534 --read-only --cap-drop=ALL` works where the files' modes allow it.
ENTRYPOINT ["/mojito-publish"]
