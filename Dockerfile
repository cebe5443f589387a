# The pipe's image: one static binary and nothing else. `docker build .` builds it with BuildKit, Docker's default builder
# since version 23 (before that, set DOCKER_BUILDKIT=1).
#
# If the builder's base image cannot be pulled, or the binary is already built, pass the binary's folder as the context:
#   docker build --build-arg BINARY=prebuilt -f Dockerfile target/x86_64-unknown-linux-gnu/release
ARG BINARY=built

FROM rust:1.95-slim-bookworm AS built
WORKDIR /source
COPY . .
# The binary embeds the list of its dependencies, for vulnerability scanners.
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
# No USER: the step's clone may be readable, and the pipe's storage folders writable, only by root, and Bitbucket gives the
# container's root no more privileges than the step has. The binary needs no privileges, HOME, /tmp or writable path;
# `docker run --user 65534 --read-only --cap-drop=ALL` works if the files' modes allow it.
ENTRYPOINT ["/mojito-publish"]
